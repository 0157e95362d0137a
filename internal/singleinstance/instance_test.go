package singleinstance

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestInstance_SecondStartHandsOver(t *testing.T) {
	dir := privateDir(t)
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

// privateDir returns a folder that only this user can enter, as a profile is.
func privateDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}

// TestDial_OnlyAProfileOfThisUser covers another user who has prepared a folder with sockets, which would get the names
// of files and what is typed, and could report a success.
func TestDial_OnlyAProfileOfThisUser(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the access list of the folder decides there")
	}
	profile, _ := program(t, func(context.Context, Command, Streams) int { return 0 })
	for mode, there := range map[os.FileMode]bool{0o700: true, 0o755: false, 0o770: false, 0o711: false} {
		if err := os.Chmod(profile, mode); err != nil {
			t.Fatal(err)
		}
		if _, got, err := Call(t.Context(), profile, Command{}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}); got != there || err != nil {
			t.Errorf("mode %o: a command reached the program: %v, %v", mode, got, err)
		}
		l, err := Listen(profile)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); l.Run(ctx, func(Launch) bool { return true }) }()
		if got, err := Hand(profile, Launch{}); got != there || err != nil {
			t.Errorf("mode %o: a launch reached the program: %v, %v", mode, got, err)
		}
		cancel()
		<-done
	}
	if os.Geteuid() != 0 {
		return
	}
	if err := os.Chmod(profile, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(profile, 65534, 65534); err != nil {
		t.Fatal(err)
	}
	if _, got, _ := Call(t.Context(), profile, Command{}, Streams{In: strings.NewReader(""), Out: io.Discard, Err: io.Discard}); got {
		t.Error("a command of root reached a program in another user's folder")
	}
}
