//go:build linux

package netlab_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// localSendVersion is the other implementation of LocalSend that the tests use: a package of PyPI in pure Python.
const localSendVersion = "localsendd==0.1.1"

// localSend is that program, running on a host.
type localSend struct {
	t      *testing.T
	bin    string
	socket string
	dir    string // for received files
}

// localSendBin returns the folder of the program in its own virtual environment, which it creates once.
func localSendBin(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		netlab.Missing(t, "no python3")
	}
	venv, err := filepath.Abs(filepath.Join("..", "..", "..", "build", "venv-localsend"))
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(venv, "bin")
	if _, err := os.Stat(filepath.Join(bin, "localsendd")); err == nil {
		return bin
	}
	for _, c := range []*exec.Cmd{
		exec.Command("python3", "-m", "venv", venv),
		exec.Command(filepath.Join(bin, "pip"), "install", "--quiet", "--disable-pip-version-check", localSendVersion),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			netlab.Missing(t, "making a virtual environment: %v: %s", err, out)
		}
	}
	return bin
}

// startLocalSend starts the program under the name Phone, and stops it when the test ends.
func startLocalSend(t *testing.T, h *netlab.Host, args ...string) *localSend {
	t.Helper()
	home := t.TempDir()
	short, err := os.MkdirTemp("", "ls") // a socket's path is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(short) })
	l := &localSend{t: t, bin: localSendBin(t), socket: filepath.Join(short, "s"), dir: filepath.Join(home, "saved")}
	if err := os.Mkdir(l.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := h.Command(ctx, append([]string{filepath.Join(l.bin, "localsendd"), "--alias", "Phone", "--device-type", "mobile", "--download-dir", l.dir, "--socket", l.socket}, args...)...)
	c.Env = append(os.Environ(), "HOME="+home, "XDG_RUNTIME_DIR="+home, "XDG_STATE_HOME="+home, "XDG_CONFIG_HOME="+home)
	var log bytes.Buffer
	c.Stdout, c.Stderr = &log, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("localsendd:\n%s", log.String())
		}
	})
	for range 100 {
		if _, err := os.Stat(l.socket); err == nil {
			return l
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("localsendd does not start: %s", log.String())
	return nil
}

// control runs a command of the program.
func (l *localSend) control(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(l.bin, "localsendctl"), append([]string{"--socket", l.socket}, args...)...).CombinedOutput()
	return string(out), err
}

// awaitPhone waits until the profile's program sees the phone, and returns it.
func awaitPhone(t *testing.T, h *netlab.Host, profile string) map[string]any {
	t.Helper()
	for range 30 {
		out, err := h.Command(t.Context(), cli, "--profile", profile, "--json", "peers", "--for", "500ms").Output()
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(out) {
			var p map[string]any
			if json.Unmarshal(line, &p) == nil && p["name"] == "Phone" {
				return p
			}
		}
	}
	t.Fatal("the phone does not appear")
	return nil
}

// TestLocalSend_BothDirections exchanges files, folders and text with another implementation of LocalSend.
func TestLocalSend_BothDirections(t *testing.T) {
	lan := netlab.New(t, 2)
	for i := 1; i <= 2; i++ {
		lan.Host(i).RouteAll()
	}
	for _, encrypted := range []bool{true, false} {
		t.Run(fmt.Sprintf("encrypted %v", encrypted), func(t *testing.T) {
			args := []string{"--unattended"}
			if !encrypted {
				args = append(args, "--no-encryption")
			}
			phone := startLocalSend(t, lan.Host(2), args...)
			own, inbox := profile(t), filepath.Join(t.TempDir(), "inbox")
			start(t, lan.Host(1), "--profile", own, "--name", "Laptop", "--localsend", "serve", "--accept", "all", "--into", inbox).wait("self", 20*time.Second)
			p := awaitPhone(t, lan.Host(1), own)
			if p["via"] != "LocalSend" || (p["plain"] == true) != !encrypted {
				t.Errorf("%v", p)
			}
			src := t.TempDir()
			tree := filepath.Join(src, "tree")
			for i := range 200 {
				name := filepath.Join(tree, fmt.Sprintf("d%02d", i%20), fmt.Sprintf("f%03d", i))
				if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, bytes.Repeat([]byte{byte(i)}, i*100+1), 0o644); err != nil { // it refuses empty files
					t.Fatal(err)
				}
			}
			big := filepath.Join(src, "big.bin")
			patterned(t, big, number("MULTIPEER_LARGE", 64))
			if code, err := run(t, lan.Host(1), "--profile", own, "send", "--to", "Phone", tree, big); code != 0 {
				t.Fatalf("send: exit %d: %s", code, err)
			}
			if got := base(digest(t, phone.dir)); !maps.Equal(got, base(digest(t, src))) { // it keeps no folders
				t.Errorf("%d files arrived", len(got))
			}
			if !encrypted { // without encryption it finds nobody by itself
				return
			}
			if out, err := phone.control("devices", "--scan"); err != nil || !strings.Contains(out, "Laptop") {
				t.Fatalf("%s %v", out, err)
			}
			if err := os.WriteFile(filepath.Join(phone.dir, "empty"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			var files []string
			for name := range digest(t, phone.dir) {
				files = append(files, filepath.Join(phone.dir, name))
			}
			if out, err := phone.control(append(append([]string{"send"}, files...), "--to", "Laptop", "--wait", "--quiet")...); err != nil {
				t.Fatalf("%s %v", out, err)
			}
			if got := digest(t, inbox); !maps.Equal(base(got), base(digest(t, phone.dir))) {
				t.Errorf("%d files came back", len(got))
			}
		})
	}
}

// patterned creates a file of that many MiB.
func patterned(t *testing.T, path string, size int64) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	piece := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for range size {
		if _, err := f.Write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestLocalSend_CancelledAndBusy cancels a transfer on each side in the middle, in both directions, and sends to a
// device that is busy. Nothing incomplete has its final name, and each side knows what happened.
func TestLocalSend_CancelledAndBusy(t *testing.T) {
	lan := netlab.New(t, 3)
	for i := 1; i <= 3; i++ {
		lan.Host(i).RouteAll()
	}
	lan.Limit(100)
	big := filepath.Join(t.TempDir(), "big.bin")
	patterned(t, big, 100) // 8 s
	small := filepath.Join(t.TempDir(), "small.bin")
	patterned(t, small, 1)
	phone := startLocalSend(t, lan.Host(2), "--unattended")
	own, other, inbox := profile(t), profile(t), filepath.Join(t.TempDir(), "inbox")
	at := "localsend:" + lan.Host(2).Addr
	sendBig := func() *running {
		s := start(t, lan.Host(1), "--profile", own, "--localsend", "send", "--to", at, big)
		for s.wait("transfer", 20*time.Second)["state"] != "moving" {
		}
		time.Sleep(time.Second)
		return s
	}
	none := func(where, dir string) {
		t.Helper()
		for name := range digest(t, dir) {
			if filepath.Base(name) == "big.bin" {
				t.Errorf("%s: an incomplete file has its final name", where)
			}
		}
	}
	s := sendBig()
	if out, err := phone.control("cancel"); err != nil {
		t.Fatalf("%s %v", out, err)
	}
	if code := s.exit(); code == 0 || !strings.Contains(s.err.String(), "cancelled") {
		t.Errorf("cancelled by the phone: exit %d: %s", code, s.err.String())
	}
	none("the phone has cancelled", phone.dir)

	s = sendBig()
	second := start(t, lan.Host(3), "--profile", other, "--localsend", "send", "--to", at, small)
	time.Sleep(time.Second)
	if got := base(digest(t, phone.dir)); got["small.bin"] != "" {
		t.Errorf("a busy phone has received %v", got)
	}
	s.signal(syscall.SIGINT)
	if code := s.exit(); code != 130 {
		t.Errorf("cancelled here: exit %d: %s", code, s.err.String())
	}
	none("cancelled here", phone.dir)
	if code := second.exit(); code != 0 || len(digest(t, phone.dir)) != 1 { // it has waited
		t.Errorf("to a phone that was busy: exit %d: %s", code, second.err.String())
	}

	server := start(t, lan.Host(1), "--profile", own, "--name", "Laptop", "--localsend", "serve", "--accept", "all", "--into", inbox)
	server.wait("self", 20*time.Second)
	awaitPhone(t, lan.Host(1), own)
	received := func(how string, cancel func(id string)) {
		t.Helper()
		var out string
		for range 20 { // until the phone is idle and sees this device
			var err error
			if out, err = phone.control("send", big, "--to", "Laptop", "--quiet"); err == nil {
				break
			}
			_, _ = phone.control("devices", "--scan")
			time.Sleep(500 * time.Millisecond)
		}
		var tr map[string]any
		for tr = server.wait("transfer", 20*time.Second); tr["state"] != "moving"; tr = server.wait("transfer", 20*time.Second) {
		}
		time.Sleep(time.Second)
		cancel(fmt.Sprint(tr["id"]))
		for tr = server.wait("transfer", 20*time.Second); tr["state"] == "moving"; tr = server.wait("transfer", 20*time.Second) {
		}
		if tr["state"] != "cancelled" && tr["state"] != "failed" {
			t.Errorf("%s: %v (%s)", how, tr, out)
		}
		none(how, inbox)
	}
	received("cancelled here", func(id string) {
		if code, err := run(t, lan.Host(1), "--profile", own, "outbox", "--drop", id); code != 0 {
			t.Errorf("cancelling: exit %d: %s", code, err)
		}
	})
	received("the phone has cancelled what it sends", func(string) {
		if out, err := phone.control("cancel"); err != nil {
			t.Errorf("%s %v", out, err)
		}
	})
	if code, err := run(t, lan.Host(1), "--profile", own, "send", "--to", "Phone", small); code != 0 { // both are usable
		t.Errorf("afterwards: exit %d: %s", code, err)
	}
}

// base keeps the files of a digest, by their names and without their times.
func base(m map[string]string) map[string]string {
	out := map[string]string{}
	for name, sum := range m {
		if sum, _, _ = strings.Cut(sum, " "); sum != "folder" {
			out[filepath.Base(name)] = sum
		}
	}
	return out
}

// TestLocalSend_Outcomes checks the exit codes for another side that declines, asks for a PIN, or is absent.
func TestLocalSend_Outcomes(t *testing.T) {
	lan := netlab.New(t, 2)
	for i := 1; i <= 2; i++ {
		lan.Host(i).RouteAll()
	}
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	own := profile(t)
	at := "localsend:" + lan.Host(2).Addr
	if code, err := run(t, lan.Host(1), "--profile", own, "--localsend", "send", "--wait", "2s", "--to", at, file); code != 3 || !strings.Contains(err, "LocalSend") {
		t.Errorf("not there: exit %d: %s", code, err)
	}
	if code, err := run(t, lan.Host(1), "--profile", own, "send", "--wait", "2s", "--to", at, file); code != 2 || !strings.Contains(err, "--localsend") {
		t.Errorf("off: exit %d: %s", code, err)
	}
	t.Run("PIN", func(t *testing.T) {
		phone := startLocalSend(t, lan.Host(2), "--unattended", "--pin", "1234")
		if code, err := run(t, lan.Host(1), "--profile", own, "--localsend", "send", "--to", at, file); code != 1 || !strings.Contains(err, "PIN") {
			t.Errorf("without a PIN: exit %d: %s", code, err)
		}
		if code, err := run(t, lan.Host(1), "--profile", own, "--localsend-pin", "1234", "send", "--to", at, file); code != 0 {
			t.Errorf("with it: exit %d: %s", code, err)
		}
		if got := digest(t, phone.dir); len(got) != 1 {
			t.Errorf("%d files", len(got))
		}
	})
	t.Run("declined", func(t *testing.T) {
		startLocalSend(t, lan.Host(2)) // without --unattended it declines, since there is no one to ask
		code, err := run(t, lan.Host(1), "--profile", own, "--localsend", "send", "--to", at, file)
		forget := regexp.MustCompile(`trust ([\w-]+) unknown`).FindStringSubmatch(err)
		if code != 1 || !strings.Contains(err, "another device answers") || forget == nil { // it has a new key
			t.Fatalf("another phone at the address: exit %d: %s", code, err)
		}
		if code, err := run(t, lan.Host(1), "--profile", own, "trust", forget[1], "unknown"); code != 0 {
			t.Fatalf("forgetting: exit %d: %s", code, err)
		}
		if code, err := run(t, lan.Host(1), "--profile", own, "--localsend", "send", "--to", at, file); code != 4 {
			t.Errorf("exit %d: %s", code, err)
		}
	})
}
