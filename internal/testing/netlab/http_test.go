//go:build linux

package netlab_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/testing/netlab"
)

// serveHTTP answers requests over the streams of its peers until its input ends. Its argument is the service type.
func serveHTTP(args []string) error {
	e, err := engine.New(engine.Config{Service: args[0], Accept: engine.Everyone})
	if err != nil {
		return err
	}
	if err := e.Start(context.Background()); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		_ = e.Close()
	}()
	err = http.Serve(e.Listen("http"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = fmt.Fprintf(w, "%s%s", strings.TrimPrefix(r.URL.Path, "/"), body)
	}))
	<-e.Done()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// askHTTP makes 1,000 requests to the first peer, 100 at once, and prints how long they took. Its argument is the
// service type.
func askHTTP(args []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	e, err := engine.New(engine.Config{Service: args[0], Invite: engine.Everyone})
	if err != nil {
		return err
	}
	defer e.Close()
	added := make(chan engine.PeerID, 1)
	e.Handle(ctx, engine.Handler{PeerAdded: func(p engine.Peer) { added <- p.ID }})
	if err := e.Start(ctx); err != nil {
		return err
	}
	var peer engine.PeerID
	select {
	case peer = <-added:
	case <-ctx.Done():
		return errors.New("no peer was found")
	}
	client := &http.Client{Transport: &http.Transport{DialContext: e.DialStream(peer, "http")}, Timeout: time.Minute}
	body := bytes.Repeat([]byte("x"), 10_000)
	began := time.Now()
	errs := make(chan error, 1000)
	var wg sync.WaitGroup
	places := make(chan struct{}, 100)
	for n := range 1000 {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			errs <- ask(client, n, body)
		})
	}
	wg.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	_, err = fmt.Printf("1,000 requests in %v\n", time.Since(began).Round(time.Millisecond))
	return err
}

// ask makes one request and checks its answer.
func ask(client *http.Client, n int, body []byte) error {
	r, err := client.Post(fmt.Sprintf("http://peer/%d:", n), "text/plain", bytes.NewReader(body))
	if err != nil {
		return err
	}
	got, err := io.ReadAll(r.Body)
	_ = r.Body.Close()
	if want := fmt.Sprintf("%d:%s", n, body); err != nil || r.StatusCode != http.StatusOK || string(got) != want {
		return fmt.Errorf("request %d: status %d, %d bytes, %v", n, r.StatusCode, len(got), err)
	}
	return nil
}

// TestListen_HTTPBetweenNamespaces: net/http serves and sends requests over streams between two hosts, without an
// adapter.
func TestListen_HTTPBetweenNamespaces(t *testing.T) {
	lan := netlab.New(t, 2)
	service := enginetest.Service()
	server := lan.Host(1).Command(t.Context(), os.Args[0], service)
	server.Env = append(os.Environ(), "MULTIPEER_ROLE=serve http")
	server.Stderr = os.Stderr
	in, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	client := lan.Host(2).Command(t.Context(), os.Args[0], service)
	client.Env = append(os.Environ(), "MULTIPEER_ROLE=ask http")
	out, err := client.CombinedOutput()
	if err != nil {
		t.Errorf("%v: %s", err, out)
	}
	t.Logf("%s", bytes.TrimSpace(out))
	_ = in.Close()
	if err := server.Wait(); err != nil {
		t.Errorf("the server: %v", err)
	}
}
