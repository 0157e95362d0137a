package transfer

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// testPipe is one end of a pipe in memory.
type testPipe struct {
	io.Reader
	io.Writer
	interrupt func()
}

func (p *testPipe) Interrupt() { p.interrupt() }

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
	return &testPipe{ar, aw, stop}, &testPipe{br, bw, stop}
}

// run sends paths into dir and returns what both ends say.
func run(t *testing.T, ctx context.Context, paths []string, opts ReceiveOptions) (sent, got Result, sendErr, recvErr error) {
	t.Helper()
	a, b := newPipe()
	var wg sync.WaitGroup
	wg.Go(func() { sent, sendErr = Send(ctx, a, paths, nil) })
	wg.Go(func() { got, recvErr = Receive(ctx, b, opts) })
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(60 * time.Second):
		t.Fatal("transfer hangs")
	}
	return sent, got, sendErr, recvErr
}

// tree lists everything below dir: content of files, "/" for folders, with the time of change.
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
		if info.Mode().IsRegular() {
			b, err := os.ReadFile(p)
			if err != nil {
				return err
			}
			content = string(b)
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
