package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// testPipe is one end of an in-memory lane.
type testPipe struct {
	io.Reader
	io.Writer
	closeWrite func() error
	interrupt  func()
}

func (p *testPipe) CloseWrite() error { return p.closeWrite() }
func (p *testPipe) Interrupt()        { p.interrupt() }

func newPipe() (a, b *testPipe) {
	ar, bw := io.Pipe()
	br, aw := io.Pipe()
	broken := errors.New("interrupted")
	stop := func() {
		_ = ar.CloseWithError(broken)
		_ = br.CloseWithError(broken)
		_ = aw.CloseWithError(broken)
		_ = bw.CloseWithError(broken)
	}
	return &testPipe{ar, aw, aw.Close, stop}, &testPipe{br, bw, bw.Close, stop}
}

// tcpPipes returns the two ends of a lane over the loopback interface.
func tcpPipes(t testing.TB) (a, b Pipe) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	got := make(chan net.Conn, 1)
	go func() { c, _ := l.Accept(); got <- c }()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return tcpPipe{c.(*net.TCPConn)}, tcpPipe{(<-got).(*net.TCPConn)}
}

type tcpPipe struct{ *net.TCPConn }

func (p tcpPipe) Interrupt() { _ = p.Close() }

// only returns a closed channel that holds the given lanes.
func only(p ...Pipe) <-chan Pipe {
	c := make(chan Pipe, len(p))
	for _, x := range p {
		c <- x
	}
	close(c)
	return c
}

// run sends paths into the receiving folder and returns what both ends report.
func run(t *testing.T, ctx context.Context, paths []string, opts ReceiveOptions) (sent, got Result, sendErr, recvErr error) {
	t.Helper()
	return runWith(t, ctx, SendOptions{Paths: paths, Links: true}, opts)
}

func runWith(t *testing.T, ctx context.Context, send SendOptions, opts ReceiveOptions) (sent, got Result, sendErr, recvErr error) {
	t.Helper()
	a, b := newPipe()
	var wg sync.WaitGroup
	wg.Go(func() { sent, sendErr = Send(ctx, only(a), send) })
	wg.Go(func() { got, recvErr = Receive(ctx, only(b), opts) })
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("transfer hangs")
	}
	return sent, got, sendErr, recvErr
}

// tree lists everything below dir: the content of files, "/" for folders, with the modification time.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(dir, p)
		if rel == "." {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := "/"
		switch {
		case info.Mode().IsRegular():
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(b)
		case info.Mode()&fs.ModeSymlink != 0:
			target, _ := os.Readlink(p)
			out[filepath.ToSlash(rel)] = "-> " + target
			return nil
		}
		out[filepath.ToSlash(rel)] = info.ModTime().UTC().Format(time.RFC3339Nano) + " " + content
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}
