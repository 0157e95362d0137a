package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"multipeer/engine"
)

type (
	peerParams struct {
		Peer engine.PeerID `json:"peer"`
	}
	nameParams struct {
		Name string `json:"name"`
	}
	infoParams struct {
		Info map[string]string `json:"info"`
	}
	onParams struct {
		On bool `json:"on"`
	}
	trustParams struct {
		Peer  engine.PeerID `json:"peer"`
		Trust trust         `json:"trust"`
	}
	pairingCodeParams struct {
		Peer engine.PeerID `json:"peer"`
		Code string        `json:"code"`
	}
	linkParams struct {
		Link string `json:"link"`
	}
	contextParams struct {
		Context json.RawMessage `json:"context"`
	}
	visibleParams struct {
		Visible visibility `json:"visible"`
		Seconds float64    `json:"for_s"` // 0 means until the next call
	}
	inviteParams struct {
		Peer    engine.PeerID   `json:"peer"`
		Context json.RawMessage `json:"context"`
		Person  bool            `json:"person"`
	}
	targetParams struct {
		Target string `json:"target"`
	}
	whoParams struct {
		Who string `json:"who"`
	}
	pingParams struct {
		Peer engine.PeerID   `json:"peer"`
		Mode engine.PingMode `json:"mode"`
	}
	ticketResult struct {
		Ticket    string   `json:"ticket"`
		Addresses []string `json:"addresses"`
	}
	pingResult struct {
		RTT float64 `json:"rtt_ms"`
	}
	acquaintanceJSON struct {
		ID    engine.PeerID `json:"id"`
		Name  string        `json:"name"`
		Trust string        `json:"trust"`
		Last  string        `json:"last,omitempty"`
	}
	acquaintancesResult struct {
		Acquaintances []acquaintanceJSON `json:"acquaintances"`
	}
)

// value returns the context for the engine; nil if there is none.
func (p contextParams) value() any {
	if p.Context == nil {
		return nil
	}
	return p.Context
}

func peersNow(e *engine.Engine, _ context.Context, _ none) (peersResult, error) {
	return peerList(e.Peers()), nil
}

func acquaintances(e *engine.Engine, _ context.Context, _ none) (acquaintancesResult, error) {
	r := acquaintancesResult{[]acquaintanceJSON{}}
	for _, a := range e.Acquaintances() {
		r.Acquaintances = append(r.Acquaintances, acquaintanceJSON{a.ID, a.Name, trustOf(a.Trust), moment(a.Last)})
	}
	return r, nil
}

func ticket(e *engine.Engine, _ context.Context, _ none) (ticketResult, error) {
	return ticketResult{e.Ticket(), texts(e.Addresses())}, nil
}

func setVisible(e *engine.Engine, _ context.Context, p visibleParams) (none, error) {
	if p.Seconds < 0 || p.Seconds > 1e9 {
		return none{}, badParams("for_s: must be between 0 and 1,000,000,000")
	}
	return none{}, e.SetVisible(engine.Visibility(p.Visible), time.Duration(p.Seconds*float64(time.Second)))
}

func dial(e *engine.Engine, ctx context.Context, p targetParams) (peerParams, error) {
	id, err := e.Dial(ctx, p.Target)
	return peerParams{id}, err
}

func search(e *engine.Engine, ctx context.Context, _ none) (r struct {
	Peers []string `json:"peers"`
}, err error,
) {
	ids, err := e.Search(ctx)
	r.Peers = texts(ids)
	return r, err
}

func find(e *engine.Engine, _ context.Context, p whoParams) (peerEvent, error) {
	peer, err := e.FindPeer(p.Who)
	if err != nil {
		return peerEvent{}, err
	}
	return peerEvent{Peer: peerOf(peer)}, nil
}

func invite(e *engine.Engine, ctx context.Context, p inviteParams) (none, error) {
	opts := engine.InviteOptions{Person: p.Person}
	if p.Context != nil {
		opts.Context = p.Context
	}
	return none{}, e.InviteWith(ctx, p.Peer, opts)
}

// looking makes the two methods that set one half of Engine.SetLooking take turns, also those of other sessions.
var looking sync.Mutex

func setLooking(e *engine.Engine, change func(advertise, browse *bool)) {
	looking.Lock()
	defer looking.Unlock()
	self := e.Self()
	change(&self.Advertising, &self.Browsing)
	e.SetLooking(self.Advertising, self.Browsing)
}

// pingTimeout is how long a ping waits for its answer.
const pingTimeout = 5 * time.Second

func ping(e *engine.Engine, ctx context.Context, p pingParams) (pingResult, error) {
	if p.Mode == "" {
		p.Mode = engine.PingReliable
	}
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	rtt, err := e.Ping(ctx, p.Peer, p.Mode)
	return pingResult{milliseconds(rtt)}, err
}

func openLink(e *engine.Engine, ctx context.Context, p linkParams) (peerParams, error) {
	id, err := e.OpenLink(ctx, p.Link)
	return peerParams{id}, err
}

// exclusive calls listen for a key that only one function may claim. If another program has claimed it, the error is
// ErrBusy.
func (s *session) exclusive(key string, listen func(*engine.Engine) (stop func())) (err error) {
	e, err := s.engine()
	if err != nil {
		return err
	}
	defer func() {
		if recover() != nil {
			err = fmt.Errorf("%w: there is already a handler for %s", engine.ErrBusy, key)
		}
	}()
	s.listen(key, listen(e))
	return nil
}

// listen records that the program listens for a key, until unlisten or the end of the session.
func (s *session) listen(key string, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		defer stop()
		return
	}
	s.stops[key] = stop
}

// unlisten stops listening.
func (s *session) unlisten(key string) error {
	s.mu.Lock()
	stop := s.stops[key]
	delete(s.stops, key)
	s.mu.Unlock()
	if stop == nil {
		return errNoHandle
	}
	stop()
	return nil
}

type invitationJSON struct {
	Invitation int64           `json:"invitation"`
	Peer       peerJSON        `json:"peer"`
	Context    json.RawMessage `json:"context,omitempty"`
}

func handleInvitations(s *session, _ context.Context, _ none) (none, error) {
	return none{}, s.exclusive("invitations", func(e *engine.Engine) func() {
		return e.HandleInvitations(func(i *engine.Invitation) {
			n := add(s, &s.invitations, i)
			s.notify("invitation", invitationJSON{n, peerOf(i.Peer), i.Context})
			if s.awaitClosed(i.Closed()) {
				s.notify("invitation_closed", invitationClosed{n})
			}
			take(s, &s.invitations, n)
		})
	})
}

type invitationClosed struct {
	Invitation int64 `json:"invitation"`
}

type answerInvitationParams struct {
	Invitation int64           `json:"invitation"`
	Accept     bool            `json:"accept"`
	Context    json.RawMessage `json:"context"`
	Person     bool            `json:"person"`
}

func answerInvitation(s *session, _ context.Context, p answerInvitationParams) (none, error) {
	opts := engine.InviteOptions{Person: p.Person}
	if p.Context != nil {
		opts.Context = p.Context
	}
	return none{}, answerOnce(s, &s.invitations, p.Invitation, func(i *engine.Invitation) error {
		switch {
		case p.Accept:
			return i.AcceptWith(opts)
		case p.Person:
			return i.DeclineByPerson()
		}
		return i.Decline()
	})
}
