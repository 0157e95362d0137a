package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"multipeer/engine"
)

// pair is two engines on the loopback interface.
type pair struct {
	a, b   *engine.Engine
	dir    string
	cancel context.CancelFunc
	ended  chan error
	count  int
}

func newPair(dir string) (*pair, error) {
	p := &pair{dir: dir, ended: make(chan error, 2)}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	for i, cfg := range []engine.Config{
		{Name: "a", Hidden: true, Blind: true, Interfaces: []string{"lo", "lo0"}, Port: port, Accept: engine.Everyone},
		{Name: "b", Hidden: true, Blind: true, Interfaces: []string{"lo", "lo0"}, Dial: []string{fmt.Sprintf("127.0.0.1:%d", port)}, Invite: engine.Everyone},
	} {
		e, err := engine.New(cfg)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.a = e
		} else {
			p.b = e
		}
		go func() { p.ended <- e.Run(ctx) }()
	}
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ev := range p.a.Watch(limit) {
		if _, ok := ev.(engine.PeerAdded); ok {
			return p, nil
		}
		if s, ok := ev.(engine.Snapshot); ok && len(s.Peers) > 0 && s.Peers[0].State == engine.Connected {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the two engines did not find each other")
}

func freePort() (int, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

func (p *pair) close() {
	p.cancel()
	<-p.ended
	<-p.ended
}

// send sends a path from a to b, and deletes the received copy.
func (p *pair) send(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	p.count++
	inbox := filepath.Join(p.dir, fmt.Sprintf("inbox%d", p.count))
	accepted := make(chan error, 1)
	events := p.b.Watch(ctx)
	go func() {
		for ev := range events {
			if o, ok := ev.(*engine.Offer); ok {
				accepted <- o.Accept(engine.AcceptOptions{Dir: inbox})
				return
			}
		}
	}()
	t, err := p.a.Offer(ctx, p.b.Self().ID, path)
	if err != nil {
		return err
	}
	if err := <-accepted; err != nil {
		return err
	}
	_, err = p.a.Wait(ctx, t.ID)
	go os.RemoveAll(inbox)
	return err
}
