package rpc

import (
	"bytes"
	"context"
	"path/filepath"

	"multipeer/engine"
	"multipeer/transfer"
)

type (
	offerParams struct {
		Peer     engine.PeerID `json:"peer"`
		Paths    []string      `json:"paths"`
		Keep     bool          `json:"keep"`
		Person   bool          `json:"person"`
		Priority int           `json:"priority"`
		Links    bool          `json:"links"`
		Name     string        `json:"name"`
		Note     string        `json:"note"`
		Preview  []byte        `json:"preview"`
		Data     *[]byte       `json:"data"` // base64; sent as Name, instead of Paths
	}
	transferParams struct {
		Transfer engine.TransferID `json:"transfer"`
	}
	priorityParams struct {
		Transfer engine.TransferID `json:"transfer"`
		Priority int               `json:"priority"`
	}
	// offerEvent has its own number, because the peer chooses the ID of the transfer and may use it again.
	offerEvent struct {
		Offer    int64        `json:"offer"`
		Transfer transferJSON `json:"transfer"`
		Preview  []byte       `json:"preview,omitempty"`
	}
	declineParams struct {
		Offer  int64 `json:"offer"`
		Person bool  `json:"person"`
	}
	offerQuestion struct {
		Offer int64 `json:"offer"`
	}
	acceptParams struct {
		Offer      int64  `json:"offer"`
		Dir        string `json:"dir"`
		Existing   string `json:"existing"` // keep (the default), skip or replace
		Reread     bool   `json:"reread"`
		Executable bool   `json:"keep_executable"`
		Links      bool   `json:"links"`
		Reserve    int64  `json:"reserve"`
		Person     bool   `json:"person"`
	}
	transfersResult struct {
		Transfers []transferJSON `json:"transfers"`
	}
)

func offer(e *engine.Engine, ctx context.Context, p offerParams) (transferEvent, error) {
	opts := engine.OfferOptions{Keep: p.Keep, Person: p.Person, Priority: p.Priority, Links: p.Links, Name: p.Name, Note: p.Note, Preview: p.Preview}
	switch {
	case p.Data != nil:
		opts.Content = bytes.NewReader(*p.Data)
	case len(p.Paths) == 0:
		return transferEvent{}, badParams("paths: at least one must be given, unless data is given")
	}
	for _, path := range p.Paths {
		if !filepath.IsAbs(path) { // the engine may run in another program, in another folder
			return transferEvent{}, badParams("paths: %q is not absolute", path)
		}
	}
	t, err := e.OfferWith(ctx, p.Peer, opts, p.Paths...)
	if err != nil {
		return transferEvent{}, err
	}
	return transferEvent{transferOf(t)}, nil
}

func handleOffers(s *session, _ context.Context, _ none) (none, error) {
	return none{}, s.exclusive("offers", func(e *engine.Engine) func() {
		return e.HandleOffers(func(o *engine.Offer) {
			n := add(s, &s.offers, o)
			s.notify("offer", offerEvent{n, transferOf(o.Transfer), o.Preview})
			if s.awaitClosed(o.Closed()) {
				s.notify("offer_closed", offerQuestion{n})
			}
			take(s, &s.offers, n)
		})
	})
}

var existing = map[string]transfer.Existing{"": transfer.KeepBoth, "keep": transfer.KeepBoth, "skip": transfer.SkipIdentical, "replace": transfer.Replace}

func acceptOffer(s *session, _ context.Context, p acceptParams) (none, error) {
	policy, known := existing[p.Existing]
	switch {
	case !known:
		return none{}, badParams("existing: must be keep, skip or replace")
	case p.Dir == "":
		return none{}, badParams("dir: must be given")
	case !filepath.IsAbs(p.Dir): // the engine may run in another program, in another folder
		return none{}, badParams("dir: %q is not absolute", p.Dir)
	}
	return none{}, answerOnce(s, &s.offers, p.Offer, func(o *engine.Offer) error {
		return o.Accept(engine.AcceptOptions{
			Dir: p.Dir, Existing: policy, Reread: p.Reread, KeepExec: p.Executable, Links: p.Links, Reserve: p.Reserve, Person: p.Person,
		})
	})
}

func declineOffer(s *session, _ context.Context, p declineParams) (none, error) {
	decline := (*engine.Offer).Decline
	if p.Person {
		decline = (*engine.Offer).DeclineByPerson
	}
	return none{}, answerOnce(s, &s.offers, p.Offer, decline)
}

func transfersNow(e *engine.Engine, _ context.Context, _ none) (transfersResult, error) {
	r := transfersResult{[]transferJSON{}}
	for _, t := range e.Transfers() {
		j := transferOf(t)
		j.Notes = nil // each may have a thousand notes: wait and the events include them
		r.Transfers = append(r.Transfers, j)
	}
	return r, nil
}

func waitTransfer(e *engine.Engine, ctx context.Context, p transferParams) (transferEvent, error) {
	t, err := e.Wait(ctx, p.Transfer)
	if err != nil && !t.State.Final() {
		return transferEvent{}, err
	}
	return transferEvent{transferOf(t)}, nil
}
