package singleinstance

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestInstance_SecondStartHandsOver(t *testing.T) {
	dir := t.TempDir()
	if there, err := Hand(dir, Launch{}); there || err != nil {
		t.Fatalf("without a listener: %v, %v", there, err)
	}
	// The socket of a killed program is replaced.
	dead, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	dead.l.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = dead.Close()
	if there, err := Hand(dir, Launch{}); there || err != nil {
		t.Fatalf("with the socket of a dead program: %v, %v", there, err)
	}

	l, err := Listen(dir)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, socket)); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may use the socket: %v, %v", info.Mode(), err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	got, ended := make(chan Launch, 1), make(chan struct{})
	go func() { defer close(ended); l.Run(ctx, func(l Launch) bool { got <- l; return l.Link != "no" }) }()
	want := Launch{Paths: []string{dir + "/a b/ü\n", dir + "/c"}, Link: "multipeer:x"}
	if there, err := Hand(dir, want); !there || err != nil {
		t.Fatal(there, err)
	}
	if g := <-got; !slices.Equal(g.Paths, want.Paths) || g.Link != want.Link {
		t.Errorf("got %+v", g)
	}
	if there, err := Hand(dir, Launch{Paths: []string{strings.Repeat("x", maxLaunch)}}); !there || err == nil {
		t.Errorf("a launch that is too large: %v, %v", there, err)
	}
	if there, err := Hand(dir, Launch{Link: "no"}); !there || err == nil {
		t.Errorf("a launch that is not accepted: %v, %v", there, err)
	}
	<-got
	for _, path := range []string{"", "a", "./a"} { // these paths would mean something else in the other process
		if there, err := Hand(dir, Launch{Paths: []string{dir, path}}); !there || err == nil {
			t.Errorf("the path %q: %v, %v", path, there, err)
		}
	}
	// Invalid input is dropped, and the next launch is accepted.
	if c, err := net.Dial("unix", filepath.Join(dir, socket)); err == nil {
		_, _ = c.Write([]byte("GET / HTTP/1.1\n"))
		_ = c.Close()
	}
	if there, err := Hand(dir, want); !there || err != nil {
		t.Error(there, err)
	}
	<-got
	cancel()
	<-ended
	if there, _ := Hand(dir, want); there {
		t.Error("it listens after its end")
	}
}
