package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// contender is one way to move a job. Its receiver starts first: it prints READY, or gets a moment to start. The time
// is measured from the start of the sender to the end of the last process.
type contender struct {
	name, kind string // kind: ours, ceiling, rival
	send, recv func(at *line, j job, out string) []string
	// stays marks a receiver that does not exit by itself; it is stopped.
	stays bool
	// profiles is a folder for what the processes store during one run; it is emptied before each run.
	profiles bool
	// byName marks a sender that has to find the receiver first.
	byName bool
	// silent marks a receiver that writes no files.
	silent bool
}

const port = "17800"

// announced is how long after its start a receiver can certainly be found: it first makes sure for 0.75 s that its name
// is free (RFC 6762 section 8.1). People send to a device that has been on for longer.
const announced = 1500 * time.Millisecond

var (
	self, _    = os.Executable()
	cliProgram string // the command-line tool
)

// program returns the command-line tool as a contender, run as people run it: the sender names the receiver by its
// address or by its name.
func program(name string, byName bool) contender {
	// common returns the flags of one side. The service type keeps other peers on this machine away.
	common := func(at *line, out, side string) []string {
		flags := []string{cliProgram, "--profile", filepath.Join(filepath.Dir(out), "profiles", side), "--service", fmt.Sprintf("bench%d", os.Getpid()%100000)}
		if at.name == "loopback" {
			flags = append(flags, "--interface", "lo")
		}
		return flags
	}
	return contender{
		name: name, kind: "ours", profiles: true, byName: byName,
		recv: func(at *line, j job, out string) []string {
			args := append(common(at, out, "receiver"), "--name", "bench", "--json", "--port", port, "receive", "--accept", "all", "--once", "--into", out, "--reserve", "-1")
			if j.again {
				args = append(args, "--existing", "skip")
			}
			return args
		},
		send: func(at *line, j job, out string) []string {
			to := at.to + ":" + port
			if byName {
				to = "bench"
			}
			return append(common(at, out, "sender"), "send", "--to", to, j.path)
		},
	}
}

// engineAlone is the contender that is built on the engine, without the command-line tool.
const engineAlone = "Multipeer, the engine alone"

// contenders returns the installed contenders that make sense for a job on a line.
func contenders(at *line, j job) []contender {
	ours := func(name string, more ...string) contender {
		return contender{
			name: name, kind: "ours",
			recv: func(_ *line, _ job, out string) []string {
				return append([]string{self, "role", "mp-recv", port, out}, more...)
			},
			send: func(at *line, j job, _ string) []string {
				return append([]string{self, "role", "mp-send", at.to + ":" + port, j.path}, more...)
			},
		}
	}
	stream := func(name, proto string, more ...string) contender {
		return contender{
			name: name, kind: "ceiling",
			recv: func(_ *line, _ job, out string) []string {
				return append([]string{self, "role", "recv-" + proto, port, out}, more...)
			},
			send: func(at *line, j job, _ string) []string {
				return append([]string{self, "role", "send-" + proto, at.to + ":" + port, j.path}, more...)
			},
		}
	}
	all := []contender{program("Multipeer, by address", false)}
	if j.again {
		return append(all, rivals(at, j)...)
	}
	if !at.isWiFi() { // this link does not carry multicast
		all = append(all, program("Multipeer, by name", true))
	}
	all = append(all, ours(engineAlone))
	if j.name == "file" {
		all = append(all, ours("Multipeer, QUIC alone", "quic"), ours("Multipeer, one QUIC lane", "quic", "1"))
	}
	if at.name == "loopback" {
		all = append(all, contender{name: "cp -r", kind: "ceiling", send: func(_ *line, j job, out string) []string { return []string{"cp", "-r", j.path, out} }})
	}
	if at.isWiFi() { // the remaining contenders would take minutes each
		all = append(all, stream("TLS 1.3 over TCP, a stream of files", "tls"), stream("bare quic-go, 1 conn", "quic", "1"), stream("bare quic-go, 8 conns", "quic", "8"))
		return append(all, wires(at)...)
	}
	all = append(all, stream("TCP, a stream of files", "tcp"), stream("TLS 1.3 over TCP, a stream of files", "tls"))
	if j.name == "file" {
		for _, n := range []string{"1", "2", "4"} {
			all = append(all, stream("bare quic-go, "+n+" conns", "quic", n))
		}
		if at.name != "loopback" {
			all = append(all, wires(at)...)
		}
	}
	return append(all, rivals(at, j)...)
}

// run transfers j once, and checks what arrived.
func (c contender) run(ctx context.Context, at *line, j job, out string) (result, error) {
	var r result
	if err := os.RemoveAll(out); err != nil {
		return r, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return r, err
	}
	defer os.RemoveAll(out)
	if j.again {
		if err := os.CopyFS(filepath.Join(out, filepath.Base(j.path)), os.DirFS(j.path)); err != nil {
			return r, err
		}
	}
	if c.profiles {
		profiles := filepath.Join(filepath.Dir(out), "profiles")
		defer os.RemoveAll(profiles)
		if err := errors.Join(os.RemoveAll(profiles), os.MkdirAll(profiles, 0o700)); err != nil {
			return r, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	var recv *exec.Cmd
	if c.recv != nil {
		recv = at.command(ctx, true, c.recv(at, j, out))
		if err := startReceiver(recv, recv.Args); err != nil {
			return r, err
		}
		defer func() { _ = recv.Process.Kill() }()
		if c.byName {
			time.Sleep(announced)
		}
	}
	send := at.command(ctx, false, c.send(at, j, out))
	var errs strings.Builder
	send.Stderr = &errs
	var said strings.Builder
	send.Stdout = &said
	began := time.Now()
	if err := send.Start(); err != nil {
		return r, err
	}
	memory := watchMemory(send, recv)
	defer memory.stop()
	if err := send.Wait(); err != nil {
		return r, fmt.Errorf("%v: %w: %s", send.Args, err, errs.String())
	}
	if recv != nil && !c.stays {
		if err := recv.Wait(); err != nil {
			return r, fmt.Errorf("%v: %w", recv.Args, err)
		}
	}
	r.took = time.Since(began)
	memory.stop()
	if c.stays { // its sender exits when everything has arrived
		_ = recv.Process.Signal(syscall.SIGTERM)
		_ = recv.Wait()
	}
	r.sendCPU, r.sendRSS = spent(send), memory.peak(send)
	if recv != nil {
		r.rcvCPU, r.rcvRSS = spent(recv), memory.peak(recv)
	}
	r.note = strings.TrimSpace(said.String())
	if !c.silent {
		if err := check(out, j); err != nil {
			return r, err
		}
	}
	return r, nil
}

// startReceiver starts the receiver and waits until it is ready. Multipeer's own receivers report when they are
// ready; for others, it waits for a fixed short time.
func startReceiver(c *exec.Cmd, args []string) error {
	c.Stderr = os.Stderr
	own := false
	for _, a := range args {
		own = own || a == "role" || a == cliProgram
	}
	if !own {
		c.Stderr = nil
		if err := c.Start(); err != nil {
			return err
		}
		time.Sleep(300 * time.Millisecond)
		return nil
	}
	out, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	in := bufio.NewReader(out)
	if s, err := in.ReadString('\n'); err != nil || s != "READY\n" && !strings.HasPrefix(s, `{"type":"self"`) {
		return errors.Join(fmt.Errorf("the receiver printed %q", s), err)
	}
	go func() { _, _ = io.Copy(io.Discard, in) }()
	return nil
}

// check counts what arrived.
func check(out string, j job) error {
	files, bytes := 0, int64(0)
	err := filepath.WalkDir(out, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			if d != nil && d.Name() == ".multipeer-partial" {
				return filepath.SkipDir
			}
			return err
		}
		info, err := d.Info()
		if err == nil {
			files, bytes = files+1, bytes+info.Size()
		}
		return err
	})
	if err == nil && (files != j.files || bytes != j.bytes) {
		err = fmt.Errorf("%d files with %s bytes arrived, %d with %d were sent", files, strconv.FormatInt(bytes, 10), j.files, j.bytes)
	}
	return err
}
