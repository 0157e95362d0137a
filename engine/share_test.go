package engine_test

import (
	"errors"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// twoServices starts two engines with one identity, for the services chess and chat.
func twoServices(net *enginetest.Net, profile string) (chess, chat *enginetest.Node) {
	cfg := open("")
	cfg.Profile, cfg.Service = profile, "chess"
	chess = net.Start(cfg)
	cfg.Profile, cfg.Service, cfg.Share = "", "chat", chess.Engine
	return chess, net.Start(cfg)
}

// TestShare_TwoServicesAreOnePeer checks that two devices, each with two services, have a session for each service
// under one ID; that messages of one service do not reach the other; and that no copied identity is reported.
func TestShare_TwoServicesAreOnePeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		chessA, chatA := twoServices(net, "")
		chessB, chatB := twoServices(net, "")
		next := events(t, chatB)
		time.Sleep(10 * time.Second)
		if chessA.Self().ID != chatA.Self().ID || chessB.Self().ID != chatB.Self().ID {
			t.Fatal("the engines have different IDs")
		}
		for _, n := range []*enginetest.Node{chessA, chatA, chessB, chatB} {
			if connected(n) != 1 || len(n.Peers()) != 1 {
				t.Errorf("%s: %d sessions, %d peers", n.Self().Service, connected(n), len(n.Peers()))
			}
		}
		_, _ = chessA.Send(t.Context(), "e4", engine.Broadcast)
		if _, err := chatA.Send(t.Context(), "hello", engine.Broadcast); err != nil {
			t.Fatal(err)
		}
		if m := next(is[engine.Message]).(engine.Message); string(m.Body) != `"hello"` {
			t.Errorf("the chat got %s", m.Body)
		}
		if _, err := chatA.Dial(t.Context(), chessA.Addr.String()); !errors.Is(err, engine.ErrOwnKey) {
			t.Errorf("dialling the own device: %v", err)
		}
		time.Sleep(time.Minute)
		for _, n := range []*enginetest.Node{chessA, chatA, chessB, chatB} {
			if list := n.Conflicts(); len(list) > 0 {
				t.Errorf("%s reports %+v", n.Self().Service, list)
			}
		}
	})
}

// TestShare_ServicesDoNotMix checks that an engine that is led to the port of another service, by an address or a
// forged announcement, gets no connection there, and that the sessions of both services stay.
func TestShare_ServicesDoNotMix(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		chessA, chatA := twoServices(net, "")
		chessB, chatB := twoServices(net, "")
		next := events(t, chatB)
		time.Sleep(10 * time.Second)
		alone := net.Start(engine.Config{Offers: engine.Everyone, Service: "chess", Hidden: true, Blind: true})
		time.Sleep(time.Second)
		for _, to := range []*enginetest.Node{chatA, chatB} {
			if _, err := alone.Dial(t.Context(), to.Addr.String()); !errors.Is(err, engine.ErrUnavailable) {
				t.Errorf("dialling another service: %v", err)
			}
		}
		if _, err := chessA.Dial(t.Context(), chatB.Addr.String()); err == nil {
			time.Sleep(time.Second) // it was connected already, elsewhere
		}
		time.Sleep(time.Minute)
		for _, n := range []*enginetest.Node{chessA, chatA, chessB, chatB} {
			if connected(n) != 1 {
				t.Errorf("%s: %d sessions", n.Self().Service, connected(n))
			}
		}
		if _, err := chatA.Send(t.Context(), "hello", engine.Broadcast); err != nil {
			t.Error(err)
		}
		for {
			switch ev := next(func(engine.Event) bool { return true }).(type) {
			case engine.PeerRemoved:
				t.Errorf("the chat lost its peer: %v", ev.Err)
			case engine.Message:
				return
			}
		}
	})
}

// TestShare_DecisionsApplyToBoth checks that a peer that is blocked in one engine is disconnected in the other.
func TestShare_DecisionsApplyToBoth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		chessA, chatA := twoServices(net, "")
		chessB, _ := twoServices(net, "")
		time.Sleep(10 * time.Second)
		if err := chessA.SetTrust(chessB.Self().ID, engine.TrustBlocked); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if connected(chessA) != 0 || connected(chatA) != 0 {
			t.Errorf("sessions with a blocked peer: %d and %d", connected(chessA), connected(chatA))
		}
		if chatA.Trust(chessB.Self().ID) != engine.TrustBlocked {
			t.Error("the other engine does not know the decision")
		}
	})
}

// TestShare_OutboxesStayApart checks that each engine resumes its own kept offers and no others, whichever of the
// engines opens the profile.
func TestShare_OutboxesStayApart(t *testing.T) {
	profile, file := filepath.Join(t.TempDir(), "profile"), bytesIn(t, 10)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		stranger := net.Start(engine.Config{Offers: engine.Everyone, Hidden: true}).Self().ID
		chess, chat := twoServices(net, profile)
		kept, err := chess.OfferWith(t.Context(), stranger, engine.OfferOptions{Keep: true}, file)
		if err != nil {
			t.Fatal(err)
		}
		if err := chess.Stop(); err != nil { // the profile stays open
			t.Fatal(err)
		}
		if _, err := engine.New(engine.Config{Offers: engine.Everyone, Profile: profile}); !errors.Is(err, engine.ErrInUse) {
			t.Errorf("a profile in use: %v", err)
		}
		if err := chat.SetTrust(stranger, engine.TrustSeen); err != nil {
			t.Error(err)
		}
		if err := chat.Stop(); err != nil {
			t.Fatal(err)
		}
		chat = net.Start(engine.Config{Offers: engine.Everyone, Profile: profile, Service: "chat"})
		if list := chat.Transfers(); len(list) != 0 {
			t.Errorf("the chat has %+v", list)
		}
		chess = net.Start(engine.Config{Offers: engine.Everyone, Service: "chess", Share: chat.Engine})
		if list := chess.Transfers(); len(list) != 1 || list[0].ID != kept.ID {
			t.Errorf("chess has %+v", list)
		}
	})
}

// TestShare_ForgottenPeersAreForgottenByAll: a decision about a peer also ends the stored transfers of services that do
// not run at that time.
func TestShare_ForgottenPeersAreForgottenByAll(t *testing.T) {
	file := bytesIn(t, 10)
	for name, decide := range map[string]func(*enginetest.Node, engine.PeerID) error{
		"forgotten": func(e *enginetest.Node, id engine.PeerID) error { return e.SetTrust(id, engine.TrustUnknown) },
		"blocked":   func(e *enginetest.Node, id engine.PeerID) error { return e.SetTrust(id, engine.TrustBlocked) },
	} {
		profile := filepath.Join(t.TempDir(), "profile")
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, latency)
			peer := net.Start(engine.Config{Offers: engine.Everyone, Hidden: true}).Self().ID
			chess := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile, Service: "chess"})
			if err := chess.SetTrust(peer, engine.TrustSeen); err != nil {
				t.Fatal(err)
			}
			if _, err := chess.OfferWith(t.Context(), peer, engine.OfferOptions{Keep: true}, file); err != nil {
				t.Fatal(err)
			}
			if err := chess.Stop(); err != nil {
				t.Fatal(err)
			}
			chat := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile, Service: "chat"})
			if err := decide(chat, peer); err != nil {
				t.Fatal(err)
			}
			if err := chat.Stop(); err != nil {
				t.Fatal(err)
			}
			chess = net.Start(engine.Config{Offers: engine.Everyone, Profile: profile, Service: "chess"})
			if list := chess.Transfers(); len(list) > 0 {
				t.Errorf("%s: chess still has %+v", name, list)
			}
		})
	}
}

// TestShare_RefusesWhatCannotBeShared checks the errors of New.
func TestShare_RefusesWhatCannotBeShared(t *testing.T) {
	first, err := engine.New(engine.Config{Offers: engine.Everyone, Service: "chess"})
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]engine.Config{
		"the same service": {Service: "chess", Share: first},
		"a second profile": {Service: "chat", Share: first, Profile: filepath.Join(t.TempDir(), "profile")},
	} {
		if _, err := engine.New(c); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.New(engine.Config{Offers: engine.Everyone, Service: "chat", Share: first}); !errors.Is(err, engine.ErrClosed) {
		t.Errorf("an ended engine: %v", err)
	}
}
