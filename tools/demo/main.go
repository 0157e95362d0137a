// Command demo shows what Multipeer does, on one machine: two peers with separate profiles find each other over the
// loopback interface, chat, and send a real folder. It runs the command-line tool twice, as two people would, compares
// every byte and fails if anything differs.
package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// showTime is how long the demo itself may take. Compiling has no limit, because it takes minutes on a slow machine.
const showTime = 3 * time.Minute

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := run(ctx, os.Stdout, build, showTime)
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo failed:", err)
		os.Exit(1)
	}
	fmt.Println("\nAll of it arrived, byte for byte.")
}

// run compiles the command-line tool and then runs the demo within a time limit.
func run(ctx context.Context, out io.Writer, build func(ctx context.Context, cli string) error, within time.Duration) error {
	dir, err := os.MkdirTemp("", "multipeer-demo")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cli := filepath.Join(dir, "multipeer-cli"+exe())
	fmt.Fprintln(out, "Compiling the command-line tool; the first time that takes a while.")
	if err := build(ctx, cli); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return demo(ctx, dir, cli)
}

// build compiles the command-line tool.
func build(ctx context.Context, cli string) error {
	c := exec.CommandContext(ctx, "go", "build", "-o", cli, "./cmd/multipeer-cli")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("building multipeer-cli: %w: %s", err, out)
	}
	return nil
}

type peer struct {
	cli, profile, name string
	cmd                *exec.Cmd
	in                 io.WriteCloser
	lines              chan line
}

// line is a JSON line of multipeer-cli.
type line struct {
	Type      string
	Name      string
	Delivered bool
	Error     string
	State     string
	Body      struct{ Text string }
}

func (p *peer) command(ctx context.Context, args ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, p.cli, append([]string{"--json", "--interface", loopback(), "--service", fmt.Sprintf("demo%d", os.Getpid()), "--profile", p.profile, "--name", p.name}, args...)...)
	c.Stderr = os.Stderr
	return c
}

func (p *peer) start(ctx context.Context, args ...string) error {
	p.cmd = p.command(ctx, args...)
	var err error
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return err
	}
	lines := make(chan line, 1000)
	p.lines = lines
	go func() {
		defer close(lines)
		s := bufio.NewScanner(out)
		for s.Scan() {
			var l line
			if json.Unmarshal(s.Bytes(), &l) == nil {
				lines <- l
			}
		}
	}()
	return nil
}

func (p *peer) wait(kind string) (line, error) {
	timeout := time.After(20 * time.Second)
	for {
		select {
		case l, ok := <-p.lines:
			if !ok {
				return line{}, fmt.Errorf("%s exited before it printed %q", p.name, kind)
			}
			if l.Type == kind {
				return l, nil
			}
		case <-timeout:
			return line{}, fmt.Errorf("%s did not print %q within 20 s", p.name, kind)
		}
	}
}

func (p *peer) end() error {
	_ = p.in.Close()
	for range p.lines {
	}
	return p.cmd.Wait()
}

func demo(ctx context.Context, dir, cli string) error {
	anna := &peer{cli: cli, profile: filepath.Join(dir, "anna"), name: "Anna"}
	ben := &peer{cli: cli, profile: filepath.Join(dir, "ben"), name: "Ben"}
	if err := chat(ctx, anna, ben); err != nil {
		return err
	}
	return send(ctx, dir, anna, ben)
}

func chat(ctx context.Context, anna, ben *peer) error {
	began := time.Now()
	if err := errors.Join(anna.start(ctx, "chat"), ben.start(ctx, "chat")); err != nil {
		return err
	}
	a, err := anna.wait("connected")
	if err != nil {
		return err
	}
	b, err := ben.wait("connected")
	if err != nil {
		return err
	}
	fmt.Printf("%s and %s found each other in %v, with no server.\n", b.Name, a.Name, time.Since(began).Round(time.Millisecond))
	for _, turn := range []struct {
		from, to *peer
		text     string
	}{{anna, ben, "Have you got the photos?"}, {ben, anna, "Not yet. Send me the whole folder."}} {
		fmt.Fprintln(turn.from.in, turn.text)
		m, err := turn.to.wait("message")
		if err != nil {
			return err
		}
		s, err := turn.from.wait("sent")
		if err != nil {
			return err
		}
		if m.Body.Text != turn.text || m.Name != turn.from.name || !s.Delivered {
			return fmt.Errorf("%s said %q, %s got %q from %q", turn.from.name, turn.text, turn.to.name, m.Body.Text, m.Name)
		}
		fmt.Printf("  %s: %s\n", m.Name, m.Body.Text)
	}
	return errors.Join(anna.end(), ben.end())
}

func send(ctx context.Context, dir string, anna, ben *peer) error {
	folder, inbox := filepath.Join(dir, "photos"), filepath.Join(dir, "inbox")
	if err := makeFolder(folder); err != nil {
		return err
	}
	if err := ben.start(ctx, "receive", "--accept", "all", "--once", "--into", inbox); err != nil {
		return err
	}
	c := anna.command(ctx, "send", "--to", ben.name, folder)
	began := time.Now()
	if err := c.Run(); err != nil {
		return fmt.Errorf("sending: %w", err)
	}
	took := time.Since(began)
	if err := ben.end(); err != nil {
		return fmt.Errorf("receiving: %w", err)
	}
	sent, size, err := digests(folder)
	if err != nil {
		return err
	}
	arrived, _, err := digests(filepath.Join(inbox, "photos"))
	if err != nil {
		return err
	}
	fmt.Printf("Anna sent the folder photos (%d entries, %.1f MB) in %.2f s. This is what Ben has:\n", len(sent), float64(size)/1e6, took.Seconds())
	for i, l := range arrived {
		if i < 6 || i >= len(arrived)-2 {
			fmt.Println("  " + l)
		} else if i == 6 {
			fmt.Printf("  … %d more …\n", len(arrived)-8)
		}
	}
	if !slices.Equal(sent, arrived) {
		return errors.New("the received file differs from the sent file")
	}
	return nil
}

// makeFolder fills a folder like a folder of photos: large and small files, an empty file, nested folders, unusual
// names.
func makeFolder(folder string) error {
	files := map[string]int{"IMG_0001.raw": 24 << 20, "IMG_0002.raw": 9<<20 + 17, "notes äöü 日本 👍.txt": 321, "empty": 0, "more/deep/er/x": 1}
	for i := range 200 {
		files[fmt.Sprintf("thumbnails/%03d.jpg", i)] = 1000 + 37*i
	}
	for name, n := range files {
		p := filepath.Join(folder, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		b := make([]byte, n)
		_, _ = rand.Read(b)
		if err := os.WriteFile(p, b, 0o644); err != nil {
			return err
		}
	}
	return os.MkdirAll(filepath.Join(folder, "nothing in here"), 0o755)
}

// digests lists a tree: SHA-256, modification time and name of each entry.
func digests(root string) (lines []string, size int64, err error) {
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		rel, err := filepath.Rel(root, p)
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := strings.Repeat("-", 16)
		if !d.IsDir() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", sha256.Sum256(b))
			size += int64(len(b))
		}
		lines = append(lines, fmt.Sprintf("%.16s…  %s  %s", sum, info.ModTime().UTC().Format("2006-01-02 15:04:05.000000"), rel))
		return nil
	})
	return lines, size, err
}
