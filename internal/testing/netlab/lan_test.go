//go:build linux

package netlab_test

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

var cli string

// roles holds what this program does instead of the tests when MULTIPEER_ROLE names one: the hosts of a test run it.
var roles = map[string]func(args []string) error{"serve http": serveHTTP, "ask http": askHTTP, "post": postMany, "visit link": visitLink}

func TestMain(m *testing.M) {
	if os.Getenv("MULTIPEER_ASK") != "" {
		if err := askMDNS(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if role := os.Getenv("MULTIPEER_ROLE"); role != "" {
		if err := roles[role](os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	flag.Parse()
	// The other tests need the machine to themselves.
	if testing.Short() && flag.Lookup("test.run").Value.String() == "" {
		_ = flag.Set("test.run", "^(TestSend_FilesArrive|TestExitCodes|TestSynopsis|TestDocs_EveryCommandIsRun)$")
	}
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		panic(err)
	}
	cli = filepath.Join(dir, "multipeer-cli")
	build := exec.Command("go", "build", "-o", cli, "multipeer/cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building: %v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// running is a program on a host whose JSON lines are read as they arrive.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer // stays open: a chat ends with its input
	lines chan map[string]any
	err   strings.Builder
}

func start(t *testing.T, h *netlab.Host, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: h.Command(t.Context(), append([]string{cli, "--json"}, args...)...), lines: make(chan map[string]any, 10000)}
	r.cmd.Stderr = &r.err
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in = in
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			var v map[string]any
			if json.Unmarshal(s.Bytes(), &v) != nil {
				v = map[string]any{"type": "no JSON", "line": s.Text()}
			}
			r.lines <- v
		}
	}()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	return r
}

// wait returns the next line of a type.
func (r *running) wait(kind string, limit time.Duration) map[string]any {
	r.t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case v, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended before %q: %s", kind, r.err.String())
			}
			if v["type"] == kind {
				return v
			}
			if v["type"] == "no JSON" {
				r.t.Errorf("on standard output: %v", v["line"])
			}
		case <-timeout:
			r.t.Fatalf("no %q in %v: %s", kind, limit, r.err.String())
		}
	}
}

// sent reports whether the next reported message was delivered.
func (r *running) sent(limit time.Duration) bool {
	timeout := time.After(limit)
	for {
		select {
		case v, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended: %s", r.err.String())
			}
			if v["type"] == "sent" {
				return v["delivered"] == true
			}
		case <-timeout:
			return false
		}
	}
}

func (r *running) exit() int {
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func (r *running) signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) }

// run runs a command to its end.
func run(t *testing.T, h *netlab.Host, args ...string) (code int, stderr string) {
	t.Helper()
	c := h.Command(t.Context(), append([]string{cli, "--json"}, args...)...)
	var out, err strings.Builder
	c.Stdout, c.Stderr = &out, &err
	_ = c.Run()
	return c.ProcessState.ExitCode(), err.String()
}

func profile(t *testing.T) string { return filepath.Join(t.TempDir(), "profile") }

// digest summarises a tree: content, kinds, names and times.
func digest(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := "folder"
		if info.Mode().IsRegular() {
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", h.Sum(nil))
		}
		rel, _ := filepath.Rel(root, p)
		out[rel] = sum + " " + info.ModTime().UTC().Format(time.RFC3339Nano)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// source creates a large file and a folder of many files.
func source(t *testing.T, size int64, files int) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	_, _ = rand.Read(block)
	for n := int64(0); n < size; n += int64(len(block)) {
		copy(block, fmt.Sprintf("%016d", n))
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	for i := range files {
		p := filepath.Join(tree, fmt.Sprintf("d%03d/e%d/f%05d", i%100, i%3, i))
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, fmt.Appendf(block[:i%4096:4096], "%d", i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		_ = os.MkdirAll(filepath.Join(tree, fmt.Sprintf("hollow%d/inner", i)), 0o755)
	}
	old := time.Date(2011, 12, 13, 14, 15, 16, 171819000, time.UTC)
	for _, p := range []string{"hollow3/inner", "d001/e1/f00001", "d001"} {
		if err := os.Chtimes(filepath.Join(tree, p), old, old); err != nil && files > 1 {
			t.Fatal(err)
		}
	}
	return dir
}

func TestSend_FilesArrive(t *testing.T) {
	size, files := int64(1)<<30, 10_000
	if testing.Short() {
		size, files = 64<<20, 500
	}
	src := source(t, size, files)
	want := digest(t, src)
	lan := netlab.New(t, 2)
	lonely := lan.Lonely()
	for name, hosts := range map[string][2]*netlab.Host{"bridge": {lan.Host(1), lan.Host(2)}, "loopback alone": {lonely, lonely}} {
		t.Run(name, func(t *testing.T) {
			inbox, a, b := filepath.Join(t.TempDir(), "inbox"), profile(t), profile(t)
			for _, what := range []string{"big.bin", "tree"} {
				r := start(t, hosts[1], "--profile", b, "--name", "Bob", "receive", "--accept", "all", "--once", "--into", inbox)
				began := time.Now()
				if code, err := run(t, hosts[0], "--profile", a, "--name", "Ann", "send", "--to", "Bob", filepath.Join(src, what)); code != 0 {
					t.Fatalf("send: exit %d: %s", code, err)
				}
				if code := r.exit(); code != 0 {
					t.Fatalf("receive: exit %d: %s", code, r.err.String())
				}
				t.Logf("%s in %v", what, time.Since(began).Round(time.Millisecond))
			}
			if got := digest(t, inbox); !maps.Equal(got, want) {
				t.Errorf("%d entries arrived, %d were sent, or some differ", len(got), len(want))
			}
		})
	}
	t.Logf("%d entries, %d bytes in the large one", len(want), size)
}

func TestExitCodes(t *testing.T) {
	lan := netlab.New(t, 2)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "receive", "--accept", "verified", "--into", t.TempDir())
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"send", "--to", "Bob", file}, 4},
		{[]string{"send", "--to", lan.Host(2).Addr, file}, 4},
		{[]string{"send", "--to", "Nobody", "--wait", "1s", file}, 3},
		{[]string{"send", "--to", "10.77.0.77:9", "--wait", "1s", file}, 3},
		{[]string{"send", "--to", "Bob", file + " that is not there"}, 1},
		{[]string{"send", file}, 2},
		{[]string{"send", "--to", "Bob"}, 2},
		{[]string{"nonsense"}, 2},
		{[]string{"--name", "a\nb", "id"}, 2},
		{[]string{"ping", "--to", "Bob", "-n", "50"}, 0},
		{[]string{"ping", "--to", "Bob", "-n", "50", "--mode", "unreliable"}, 0},
		{[]string{"ping", "--to", "Bob", "-n", "50", "--mode", "stream"}, 0},
		{[]string{"ping", "--to", "Bob", "--mode", "smoke"}, 2},
		{[]string{"peers", "--for", "500ms"}, 0},
		{[]string{"id"}, 0},
	} {
		if code, err := run(t, lan.Host(1), append([]string{"--profile", profile(t)}, c.args...)...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s", c.args, code, c.code, err)
		}
	}
}
