// Package instance lets another process of the same user speak to the program
// that runs already with a profile, over Unix sockets in the profile's folder,
// which nobody but its owner can enter: a second start of the window hands over
// what it was started with ([Hand]), and the terminal program its command line
// ([Call]).
package instance

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
	"sync"
	"time"
)

const (
	socket = "window.sock"
	// patience bounds each side's wait for the other.
	patience = 3 * time.Second
	// maxLaunch bounds what a launch may say, in bytes.
	maxLaunch = 1 << 20
	// atOnce bounds how many launches are heard at the same time.
	atOnce = 8
)

// Launch is what a program was started with.
type Launch struct {
	Paths []string `json:"paths,omitempty"` // absolute
	Link  string   `json:"link,omitempty"`  // multipeer:...
}

// Hand gives a launch to the program that runs with the profile; false if none does.
func Hand(profile string, l Launch) (bool, error) {
	c, err := net.DialTimeout("unix", filepath.Join(profile, socket), patience)
	if err != nil {
		return false, nil // nobody listens
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	b, err := json.Marshal(l)
	if err != nil {
		return true, err
	}
	if len(b) >= maxLaunch {
		return true, errors.New("too many paths at once: give the folder that holds them instead")
	}
	if _, err := c.Write(append(b, '\n')); err != nil {
		return true, fmt.Errorf("the running program does not listen: %w", err)
	}
	if answer, err := bufio.NewReader(io.LimitReader(c, 16)).ReadString('\n'); err != nil || answer != "ok\n" {
		return true, fmt.Errorf("the running program did not take it (%w)", errors.Join(err, errors.New(answer)))
	}
	return true, nil
}

// Listener hears of launches.
type Listener struct{ l net.Listener }

// Listen begins to listen for launches with the profile. Only the holder of the profile's lock may call it: it takes
// the place of a socket that a dead program has left. The caller runs Run, or closes it.
func Listen(profile string) (*Listener, error) {
	l, err := listen(profile, socket)
	if err != nil {
		return nil, err
	}
	return &Listener{l}, nil
}

func listen(profile, name string) (net.Listener, error) {
	path := filepath.Join(profile, name)
	if len(path) > 100 { // sun_path of unix(7) and its kin
		return nil, fmt.Errorf("the folder %s has too long a name for a socket", profile)
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

// Close ends the listening of a Listener that was never run.
func (l *Listener) Close() error { return l.l.Close() }

// Run gives each launch to take, on goroutines of its own, until ctx ends; then it closes and waits for them. take tells
// whether it has taken the launch; else the other start gets an error.
func (l *Listener) Run(ctx context.Context, take func(Launch) bool) {
	serve(ctx, l.l, atOnce, nil, func(c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(patience))
		var launch Launch
		line, err := bufio.NewReader(io.LimitReader(c, maxLaunch)).ReadBytes('\n')
		if err != nil || json.Unmarshal(line, &launch) != nil {
			return
		}
		if take(launch) {
			_, _ = c.Write([]byte("ok\n"))
		}
	})
}

// serve gives each conn to do, so many at once and the next ones to full, if there is that, until ctx ends; then it closes l
// and waits for them.
func serve(ctx context.Context, l net.Listener, atOnce int, full, do func(net.Conn)) {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	defer l.Close()
	var wg sync.WaitGroup
	defer wg.Wait()
	room := make(chan struct{}, atOnce)
	for {
		c, err := l.Accept()
		if ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil { // too many open files, say: it passes
			select {
			case <-time.After(100 * time.Millisecond):
			case <-ctx.Done():
			}
			continue
		}
		select {
		case room <- struct{}{}:
		default:
			if full != nil {
				full(c)
			}
			_ = c.Close()
			continue
		}
		wg.Go(func() {
			defer func() { <-room }()
			defer c.Close()
			do(c)
		})
	}
}
