package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"multipeer/engine"
)

// started returns two programs with a session.
func started(t *testing.T, window int) (a, b *client, names map[string]any) {
	t.Helper()
	names = map[string]any{}
	a, b = newClient(t), newClient(t)
	for who, c := range map[string]*client{"A": a, "B": b} {
		c.write(map[string]any{"id": 0, "method": "start", "params": map[string]any{
			"name": who, "service": fmt.Sprintf("s%d", os.Getpid()), "interfaces": []string{loopback(t)}, "invite": "everyone", "accept": "everyone", "window": window,
		}})
		c.expect(map[string]any{"id": 0.0, "result": map[string]any{"self": map[string]any{"id": "ID" + who}}}, names)
	}
	a.expect(map[string]any{"method": "peer_added"}, names)
	b.expect(map[string]any{"method": "peer_added"}, names)
	return a, b, names
}

// TestPost_KeepsTheOrderAndWaitsForCredit: 2,000 messages in a loop arrive in order, and never more than the program
// has given credit for.
func TestPost_KeepsTheOrderAndWaitsForCredit(t *testing.T) {
	a, b, names := started(t, 10)
	const total = 2000
	answered := make(chan bool)
	waiting := make(chan bool, 250) // at most 512 may wait for one peer
	go func() {
		defer close(answered)
		for range total {
			for m := range a.lines {
				if m["id"] == 1.0 {
					<-waiting
					break
				}
			}
		}
	}()
	go func() {
		for n := range total {
			waiting <- true
			a.write(map[string]any{"id": 1, "method": "post", "params": map[string]any{"to": []any{names["IDB"]}, "body": n}})
		}
	}()
	for n := range total {
		b.expect(map[string]any{"method": "message", "params": map[string]any{"body": float64(n)}}, names)
		if len(b.lines)+len(b.kept) > 30 {
			t.Fatalf("%d lines wait, although the program has asked for 10", len(b.lines)+len(b.kept))
		}
		if n%5 == 4 {
			b.write(map[string]any{"method": "credit", "params": map[string]any{"messages": 5}})
		}
	}
	<-answered
}

// TestServe_BadLinesGetAnError: a bad line gets an error, and the session continues.
func TestServe_BadLinesGetAnError(t *testing.T) {
	for line, code := range map[string]float64{
		`{`:                              codeParse,
		`"text"`:                         codeParse,
		`[{"jsonrpc":"2.0"}]`:            codeRequest,
		`{"id":1,"method":"self"}`:       codeRequest,
		`{"jsonrpc":"2.0","id":1}`:       codeRequest,
		`{"jsonrpc":"2.0","method":"x"}`: codeMethod,
		`{"jsonrpc":"2.0","id":1,"method":"start","params":{"nmae":"Anna"}}`:      codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"start","params":{"invite":"all"}}`:     codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"start","params":[1]}`:                  codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"start","params":{"name":"a\nb"}}`:      codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"start","params":{"service":"Not It"}}`: codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"set_trust","params":{"peer":"x"}}`:     codeParams,
		`{"jsonrpc":"2.0","id":1,"method":"peers"}`:                               60,
		strings.Repeat("x", maxLine+1):                                            codeParse,
	} {
		var out bytes.Buffer
		in := strings.NewReader(line + "\n\n" + `{"jsonrpc":"2.0","id":"last","method":"end"}` + "\n")
		err := Serve(t.Context(), in, &out, func(cfg engine.Config) (*engine.Engine, bool, error) {
			e, err := engine.New(cfg)
			return e, false, err
		})
		if err != nil {
			t.Errorf("%.80s: %v", line, err)
		}
		var first struct{ Error struct{ Code float64 } }
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if json.Unmarshal([]byte(lines[0]), &first) != nil || first.Error.Code != code {
			t.Errorf("%.80s: %s", line, lines[0])
		}
		if !strings.Contains(lines[len(lines)-1], `"last"`) {
			t.Errorf("%.80s: the session did not continue: %s", line, out.String())
		}
	}
}

// brokenPipe fails each write.
type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

// TestServe_EndsWithItsStreams: Serve ends when no one reads its output, when its input ends, and when its context
// ends.
func TestServe_EndsWithItsStreams(t *testing.T) {
	never := func(engine.Config) (*engine.Engine, bool, error) { return nil, false, errors.New("not here") }
	in, _ := io.Pipe()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Serve(ctx, in, io.Discard, never); err != nil {
		t.Errorf("its context: %v", err)
	}
	if err := Serve(t.Context(), strings.NewReader(""), io.Discard, never); err != nil {
		t.Errorf("no input: %v", err)
	}
	open, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("{\n")) }()
	if err := Serve(t.Context(), open, brokenPipe{}, never); err == nil || !strings.Contains(err.Error(), "broken pipe") {
		t.Errorf("no reader: %v", err)
	}
}

// TestServe_HostedEngineOutlivesTheProgram: a program that uses another program's engine does not end it.
func TestServe_HostedEngineOutlivesTheProgram(t *testing.T) {
	e, err := engine.New(engine.Config{Service: fmt.Sprintf("h%d", os.Getpid()), Interfaces: []string{loopback(t)}})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what the first program has claimed is free for the second
		var out bytes.Buffer
		in := strings.NewReader(`{"jsonrpc":"2.0","id":1,"method":"start"}
{"jsonrpc":"2.0","id":2,"method":"handle_offers"}
{"jsonrpc":"2.0","id":3,"method":"handle_stream","params":{"name":"log"}}
{"jsonrpc":"2.0","id":4,"method":"dial","params":{"target":"192.0.2.1"}}
{"jsonrpc":"2.0","id":5,"method":"end"}
`)
		if err := Serve(t.Context(), in, &out, func(engine.Config) (*engine.Engine, bool, error) { return e, true, nil }); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		for _, line := range lines { // the responses to requests that run at once come in any order
			if !strings.Contains(line, `"id":4`) && strings.Contains(line, `"error"`) {
				t.Error(line)
			}
		}
		if len(lines) != 5 || !strings.Contains(lines[0], `"hosted":true`) || !strings.Contains(lines[4], `"id":5`) {
			t.Error(out.String())
		}
	}
	if !e.Self().Running {
		t.Error("the engine of the other program has ended")
	}
	_ = e.Close()
}

func FuzzServe(f *testing.F) {
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"send","params":{"to":"all","body":1}}`)
	f.Add(`{"jsonrpc":"2.0","id":1,"method":"read","params":{"stream":1}}`)
	f.Fuzz(func(t *testing.T, line string) {
		if strings.Contains(line, "start") {
			return
		}
		var out bytes.Buffer
		_ = Serve(t.Context(), strings.NewReader(line+"\n"), &out, func(engine.Config) (*engine.Engine, bool, error) {
			return nil, false, errors.New("not here")
		})
		for _, l := range strings.Split(strings.TrimSpace(out.String()), "\n") {
			if l != "" && !json.Valid([]byte(l)) {
				t.Errorf("%q: %q", line, l)
			}
		}
	})
}

// TestOffer_CanBeAnsweredAfterAFailure: an offer whose folder cannot be used can be declined, or accepted elsewhere.
func TestOffer_CanBeAnsweredAfterAFailure(t *testing.T) {
	a, b, names := started(t, 0)
	file := filepath.Join(t.TempDir(), "x")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	b.write(map[string]any{"id": 5, "method": "handle_offers"})
	b.expect(map[string]any{"id": 5.0}, names)
	a.write(map[string]any{"id": 1, "method": "offer", "params": map[string]any{"peer": names["IDB"], "paths": []any{file}}})
	b.expect(map[string]any{"method": "offer", "params": map[string]any{"offer": 1.0}}, names)
	b.write(map[string]any{"id": 6, "method": "accept_offer", "params": map[string]any{"offer": 1, "dir": filepath.Join(file, "sub")}})
	b.expect(map[string]any{"id": 6.0, "error": map[string]any{}}, names)
	b.write(map[string]any{"id": 7, "method": "decline_offer", "params": map[string]any{"offer": 1}})
	b.expect(map[string]any{"id": 7.0, "result": map[string]any{}}, names)
}
