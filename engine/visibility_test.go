package engine_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// TestVisibility_KnownOnlyHidesFromStrangers checks that a peer that shows itself to known peers only is seen by them.
// A stranger does not see it and cannot connect by its address either, except while the pairing window is open.
func TestVisibility_KnownOnlyHidesFromStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Name: "Anna", Accept: engine.Everyone})
		known := net.Start(engine.Config{Name: "Ben", Invite: engine.Everyone})
		for connected(a) == 0 {
			time.Sleep(10 * time.Millisecond)
		}
		if err := a.SetVisible(engine.VisibleToKnown, 0); err != nil {
			t.Fatal(err)
		}
		stranger := net.Start(engine.Config{Name: "Eve", Invite: engine.Everyone})
		time.Sleep(5 * time.Second)
		if _, ok := stranger.Peer(a.Self().ID); ok {
			t.Error("a stranger sees it")
		}
		if _, err := stranger.Dial(t.Context(), a.Addr.String()); !errors.Is(err, engine.ErrRefused) {
			t.Errorf("a stranger dials it: %v", err)
		}
		if connected(a) != 1 {
			t.Error("the known peer was lost")
		}
		_ = known.Stop()
		again := net.Start(engine.Config{Name: "Ben again", Invite: engine.Everyone})
		if err := a.SetVisible(engine.VisibleToAll, 10*time.Minute); err != nil {
			t.Fatal(err)
		}
		meet(t, again, a)
		time.Sleep(11 * time.Minute)
		if v := a.Self().Visible; v != engine.VisibleToKnown {
			t.Errorf("after ten minutes it is visible to %v", v)
		}
		late := net.Start(engine.Config{Name: "Fred"})
		time.Sleep(time.Second)
		a.OpenPairing()
		if _, err := late.Dial(t.Context(), a.Addr.String()); err != nil {
			t.Errorf("while the window is open: %v", err)
		}
		if err := a.SetVisible(9, 0); !errors.Is(err, engine.ErrInvalid) {
			t.Error(err)
		}
	})
}

func TestVisibility_LanePortAdmitsNoStranger(t *testing.T) {
	e, err := engine.New(engine.Config{Service: enginetest.Service(), Hidden: true, Blind: true, Visible: engine.VisibleToNobody})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	for !e.Self().Running {
		time.Sleep(10 * time.Millisecond)
	}
	pub, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, pub, key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := tls.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", e.Self().Port), &tls.Config{
		Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, InsecureSkipVerify: true, NextProtos: []string{"multipeer-lane/1"},
	})
	if err != nil {
		t.Skip("lanes are at another port: ", err)
	}
	defer c.Close()
	frame := `{"type":"lane","id":"00112233445566778899aabbccddeeff","attempt":1,"token":"` + strings.Repeat("0", 64) + `"}`
	_, _ = c.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(frame))), frame...))
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	var alert *net.OpError
	if n, err := c.Read(make([]byte, 100)); n > 0 || !errors.As(err, &alert) || alert.Op != "remote error" {
		t.Errorf("%d bytes, %v; want the refusal of the handshake", n, err)
	}
}

// TestVisible_HidingEndsALateGreeting: a stranger is not accepted if its handshake was complete before this engine hid,
// or before its pairing window closed, and it sends its hello afterwards. The engine with the higher ID awaits an answer
// on the new connection at once; the one with the lower ID probes the old connection for a second before.
func TestVisible_HidingEndsALateGreeting(t *testing.T) {
	hidesAfter := map[bool]time.Duration{true: 1100 * time.Millisecond, false: 300 * time.Millisecond} // by whether its ID is lower
	for _, c := range []struct {
		name  string
		lower bool
	}{{"hiding", true}, {"hiding", false}, {"closing the pairing window", true}, {"closing the pairing window", false}} {
		t.Run(fmt.Sprintf("%s, lower ID %v", c.name, c.lower), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hides := c.name == "hiding"
				net := enginetest.New(t, latency)
				cfg := engine.Config{}
				if !hides {
					cfg.Visible = engine.VisibleToKnown
				}
				a := net.Start(cfg)
				time.Sleep(time.Second)
				if !hides && a.OpenPairing().IsZero() {
					t.Fatal("the pairing window does not open")
				}
				id, err := identity.New()
				for err == nil && a.Self().ID.Less(id.ID) != c.lower {
					id, err = identity.New()
				}
				if err != nil {
					t.Fatal(err)
				}
				m := rawOf(t, net, id)
				first := m.dial(t, a)
				if _, err := m.greet(t, first); err != nil {
					t.Fatal(err)
				}
				late, replacing := m.dial(t, a), m.dial(t, a)
				time.Sleep(100 * time.Millisecond)
				greeted := make(chan *transport.Stream, 1)
				go func() {
					answers, _ := m.greet(t, replacing)
					greeted <- answers
				}()
				time.Sleep(hidesAfter[c.lower])
				if hides {
					_ = a.SetVisible(engine.VisibleToNobody, 0)
				} else {
					a.ClosePairing()
				}
				time.Sleep(500 * time.Millisecond)
				if first.Err() == nil {
					t.Error("a stranger stays connected")
				}
				if _, err := m.greet(t, late); !errors.Is(err, engine.ErrBye) {
					t.Errorf("a late hello: %v", err)
				}
				if answers := <-greeted; answers != nil && replacing.Err() == nil {
					if err := answers.WriteMessage(wire.Pong{}); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(time.Second)
				if peers := a.Peers(); len(peers) > 0 && peers[0].Confirmed {
					t.Errorf("%+v", peers)
				}
				if replacing.Err() == nil {
					t.Error("a connection that was being greeted remains")
				}
			})
		})
	}
}

// TestTrust_ForgottenPeerIsAStranger: to a device that only known peers may see, a forgotten peer is a stranger at
// once.
func TestTrust_ForgottenPeerIsAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(open("a")), net.Start(open("b"))
		events(t, a)(is[engine.PeerAdded])
		id := b.Self().ID
		if err := errors.Join(a.SetTrust(id, engine.TrustSeen), a.SetVisible(engine.VisibleToKnown, 0)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if err := a.SetTrust(id, engine.TrustUnknown); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		if p, ok := a.Peer(id); ok && p.Confirmed {
			t.Errorf("%+v", p)
		}
	})
}

// TestVisible_TemporaryExpiryKeepsLaterChoice: a temporary visibility that expires just as another is chosen does not
// undo that choice.
func TestVisible_TemporaryExpiryKeepsLaterChoice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := enginetest.New(t, latency).Start(engine.Config{})
		wrong := 0
		for range 1000 {
			_ = a.SetVisible(engine.VisibleToAll, 0)
			_ = a.SetVisible(engine.VisibleToKnown, 10*time.Second)
			time.Sleep(10 * time.Second)
			_ = a.SetVisible(engine.VisibleToNobody, 0)
			synctest.Wait()
			if a.Self().Visible != engine.VisibleToNobody {
				wrong++
			}
		}
		if wrong > 0 {
			t.Errorf("visible to others in %d of 1000 cases", wrong)
		}
	})
}
