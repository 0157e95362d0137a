// Package singleinstance lets another process of the same user talk to the program that already uses a profile, over
// Unix sockets in the profile's folder, which only its owner can access: a second start of the window passes on its
// paths and link ([Hand]), and the command-line tool passes on its command line ([Call]).
package singleinstance

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"multipeer/internal/privatefile"
	"multipeer/internal/rawpath"
)

const (
	socket = "window.sock"
	// patience limits how long each side waits for the other.
	patience = 3 * time.Second
	// maxLaunch limits the size of a launch request, in bytes.
	maxLaunch = 1 << 20
	// atOnce limits how many launches are handled at the same time.
	atOnce = 8
)

// Launch holds the arguments of a program start.
type Launch struct {
	Paths []string `json:"paths,omitempty"` // absolute
	Link  string   `json:"link,omitempty"`  // multipeer:...
}

// Hand passes a launch to the program that uses the profile. It returns false if no program does.
func Hand(profile string, l Launch) (bool, error) {
	c, err := dial(profile, socket)
	if err != nil {
		return false, nil // no program listens
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	l.Paths = rawpath.EncodeAll(l.Paths)
	b, err := json.Marshal(l)
	if err != nil {
		return true, err
	}
	if len(b) >= maxLaunch {
		return true, errors.New("too many paths at once; pass the folder that contains them instead")
	}
	if _, err := c.Write(append(b, '\n')); err != nil {
		return true, fmt.Errorf("the running program does not respond: %w", err)
	}
	if answer, err := bufio.NewReader(io.LimitReader(c, 16)).ReadString('\n'); err != nil || answer != "ok\n" {
		return true, fmt.Errorf("the running program did not accept the request (%w)", errors.Join(err, errors.New(answer)))
	}
	return true, nil
}

// dial connects to a socket of the program that uses the profile. Another user may have made a folder that anyone can
// enter, and listen there.
func dial(profile, name string) (net.Conn, error) {
	if !privatefile.IsPrivateFolder(profile) { // guard: socket-owner
		return nil, os.ErrPermission
	}
	return net.DialTimeout("unix", filepath.Join(profile, name), patience)
}

// Listener receives the requests of programs that are started later with the same profile.
type Listener struct{ l net.Listener }

// Listen starts to listen for the requests of programs that are started later with the same profile. Only the holder of
// the profile's lock may call it: it replaces a socket left behind by a dead process. The caller must call Run or Close.
func Listen(profile string) (*Listener, error) {
	l, err := listen(profile, socket)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

func listen(profile, name string) (net.Listener, error) {
	path := filepath.Join(profile, name)
	if len(path) > 100 { // sun_path of unix(7) and its equivalents
		return nil, fmt.Errorf("the path of the profile folder %s is too long for a socket; use a profile folder with a shorter path", profile)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Close closes a Listener that was never run.
func (l *Listener) Close() error { return l.l.Close() }

// Run calls take for each launch, each on its own goroutine, until ctx ends. It then closes the listener and waits for
// the calls that are running. take reports whether it accepts the launch; if not, the other process gets an error.
func (l *Listener) Run(ctx context.Context, take func(Launch) bool) {
	serve(ctx, l.l, atOnce, nil, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(patience))
		var launch Launch
		line, err := bufio.NewReader(io.LimitReader(c, maxLaunch)).ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &launch) != nil {
			return
		}
		launch.Paths = rawpath.DecodeAll(launch.Paths)
		if slices.ContainsFunc(launch.Paths, func(p string) bool { return !filepath.IsAbs(p) }) { // it would be relative to our own folder
			_, _ = c.Write([]byte("not absolute\n"))
			return
		}
		if take(launch) {
			_, _ = c.Write([]byte("ok\n"))
		}
	})
}

// serve calls do for each connection, at most atOnce at a time, until ctx ends. For connections beyond that, it calls
// full if that is not nil. In the end it closes l and waits for all calls.
func serve(ctx context.Context, l net.Listener, atOnce int, full, do func(net.Conn)) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	slots := make(chan struct{}, atOnce)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil { // for example too many open files, which is temporary
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			if full != nil {
				full(c)
			}
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-slots }()
			defer c.Close()
			do(c)
		})
	}
}
