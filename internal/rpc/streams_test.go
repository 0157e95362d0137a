package rpc

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/engine"
)

// TestStreams_OfStrangersLeaveRoom: one device with many keys opens idle streams, and the program reads each, as the
// Python package does. Only a few streams are accepted, and the program can still send.
func TestStreams_OfStrangersLeaveRoom(t *testing.T) {
	service := fmt.Sprintf("a%d", os.Getpid())
	names := map[string]any{}
	friend, victim := newClient(t), newClient(t)
	for who, c := range map[string]*client{"A": friend, "B": victim} {
		c.write(map[string]any{"id": 0, "method": "start", "params": map[string]any{
			"name": who, "service": service, "interfaces": []string{loopback(t)}, "invite": "everyone", "accept": "everyone",
		}})
		c.expect(map[string]any{"id": 0.0, "result": map[string]any{"self": map[string]any{"id": "ID" + who}}}, names)
	}
	friend.expect(map[string]any{"method": "peer_added"}, names)
	victim.write(map[string]any{"id": 1, "method": "handle_stream", "params": map[string]any{"name": "stream"}})
	victim.expect(map[string]any{"id": 1.0}, names)
	victim.write(map[string]any{"id": 2, "method": "ticket"})
	victim.expect(map[string]any{"id": 2.0, "result": map[string]any{"ticket": "TICKET"}}, names)
	ticket := names["TICKET"].(string)
	// All strangers have this address; a ticket also has an IPv6 address.
	target := "127.0.0.1" + ticket[strings.LastIndex(ticket, ":"):]
	var taken, failed atomic.Int64
	answers := make(chan map[string]any, 10)
	go func() {
		for m := range victim.lines {
			switch {
			case m["method"] == "stream":
				n := m["params"].(map[string]any)["stream"]
				id := 1000 + taken.Add(1)
				go func() {
					if _, err := fmt.Fprintf(victim.in, `{"jsonrpc":"2.0","id":%d,"method":"read","params":{"stream":%v}}`+"\n", id, n); err != nil {
						t.Error(err)
					}
				}()
			case m["id"] == 5.0:
				answers <- m
			case m["error"] != nil:
				failed.Add(1)
			}
		}
	}()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for i := range maxOfSource/maxTaken + 2 {
		e, err := engine.New(engine.Config{Name: "stranger", Service: service, Interfaces: []string{loopback(t)}, Hidden: true, Blind: true})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Start(ctx); err != nil {
			t.Fatal(err)
		}
		id, err := e.Dial(ctx, target)
		if err != nil {
			t.Fatal(i, err)
		}
		if err := e.Invite(ctx, id); err != nil {
			t.Fatal(i, err)
		}
		for range maxTaken {
			if _, err := e.OpenStream(ctx, id, "stream"); err != nil {
				t.Fatal(i, err)
			}
		}
	}
	for end := time.Now().Add(10 * time.Second); taken.Load() < maxOfSource && time.Now().Before(end); {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(500 * time.Millisecond)
	if n := taken.Load(); n != maxOfSource || failed.Load() > 0 {
		t.Errorf("%d streams were taken, and %d requests failed", n, failed.Load())
	}
	victim.write(map[string]any{"id": 5, "method": "post", "params": map[string]any{"to": []any{names["IDA"]}, "body": "hello"}})
	if m := <-answers; m["error"] != nil {
		t.Errorf("a message to the friend: %v", m["error"])
	}
}

// TestServe_RequestsOnStreamsLeaveRoom: requests that wait for streams do not use up the slots of those that wait for
// peers.
func TestServe_RequestsOnStreamsLeaveRoom(t *testing.T) {
	s := &session{waiting: map[waitsFor]int{}}
	n := 0
	for s.begin(aStream) {
		n++
	}
	if n != maxOnStreams || !s.begin(aPeer) || !s.begin(nothing) {
		t.Errorf("%d requests wait for streams, and others do not begin", n)
	}
}
