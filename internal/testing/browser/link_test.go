//go:build linux

package browser

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "multipeer-browser-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "multipeer-cli")
	build := exec.Command("go", "build", "-C", "../../..", "-o", program, "./cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building: %v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// link is a running multipeer-cli link.
type link struct {
	t    *testing.T
	url  string
	pin  string
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	seen []map[string]any
	said bytes.Buffer
	done chan struct{}
}

// startLink runs multipeer-cli link with arguments, until the test ends.
func startLink(t *testing.T, args ...string) *link {
	t.Helper()
	l := &link{t: t, done: make(chan struct{}), cmd: exec.Command(program, append([]string{"--json", "--name", "Anna", "--port", freePort(t), "link", "--reserve", "-1"}, args...)...)}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.cmd.Stderr = &l.said
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("no link: %s", l.said.String())
	}
	var first struct {
		URLs []string
		PIN  string
	}
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil || len(first.URLs) == 0 {
		t.Fatalf("%s: %v", lines.Bytes(), err)
	}
	l.url, l.pin = first.URLs[0], first.PIN
	go func() {
		defer close(l.done)
		for lines.Scan() {
			var o map[string]any
			if json.Unmarshal(lines.Bytes(), &o) == nil {
				l.mu.Lock()
				l.seen = append(l.seen, o)
				l.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.cmd.Process.Signal(syscall.SIGINT)
		<-l.done
		_ = l.cmd.Wait()
	})
	return l
}

func freePort(t *testing.T) string {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	_, port, _ := net.SplitHostPort(n.Addr().String())
	return port
}

// await waits for a line of a type, with a state if that is not empty.
func (l *link) await(kind, state string) map[string]any {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l.mu.Lock()
		for i, o := range l.seen {
			if o["type"] == kind && (state == "" || o["state"] == state) {
				l.seen = append(l.seen[:i:i], l.seen[i+1:]...)
				l.mu.Unlock()
				return o
			}
		}
		l.mu.Unlock()
	}
	l.t.Fatalf("no %s %s: %v", kind, state, l.seen)
	return nil
}

func hostOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}
