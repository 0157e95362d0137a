package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"slices"

	"multipeer/engine"
)

// method starts a request and calls done once with its result. It must not block, because it delays the next request.
type method func(s *session, params json.RawMessage, r *responder)

// none stands for absent parameters or an absent result.
type none struct{}

// methods holds all methods, by name.
var methods map[string]method

func init() { // the functions refer to methods themselves
	methods = map[string]method{
		"start":  start,
		"end":    end,
		"credit": now(func(s *session, _ context.Context, p creditParams) (none, error) { return none{}, s.addCredit(p) }),

		"self":          with(func(e *engine.Engine, _ context.Context, _ none) (selfJSON, error) { return selfOf(e.Self()), nil }),
		"peers":         with(peersNow),
		"acquaintances": with(acquaintances),
		"ticket":        with(ticket),
		"set_name": with(func(e *engine.Engine, _ context.Context, p nameParams) (none, error) {
			return none{}, e.SetName(p.Name)
		}),
		"set_info": with(func(e *engine.Engine, _ context.Context, p infoParams) (none, error) {
			return none{}, e.SetInfo(p.Info)
		}),
		"set_context": with(func(e *engine.Engine, _ context.Context, p contextParams) (none, error) {
			return none{}, e.SetContext(p.value())
		}),
		"set_visible": with(setVisible),
		"set_advertising": with(func(e *engine.Engine, _ context.Context, p onParams) (none, error) {
			setLooking(e, func(advertise, _ *bool) { *advertise = p.On })
			return none{}, nil
		}),
		"set_browsing": with(func(e *engine.Engine, _ context.Context, p onParams) (none, error) {
			setLooking(e, func(_, browse *bool) { *browse = p.On })
			return none{}, nil
		}),
		"dial":   with(dial),
		"search": with(search),
		"find":   with(find),
		"invite": with(invite),
		"disconnect": with(func(e *engine.Engine, _ context.Context, p peerParams) (none, error) {
			e.Disconnect(p.Peer)
			return none{}, nil
		}),
		"leave": with(func(e *engine.Engine, _ context.Context, _ none) (none, error) { e.Leave(); return none{}, nil }),
		"set_trust": with(func(e *engine.Engine, _ context.Context, p trustParams) (none, error) {
			return none{}, e.SetTrust(p.Peer, engine.Trust(p.Trust))
		}),
		"ping": with(ping),

		"handle_invitations": now(handleInvitations),
		"answer_invitation":  now(answerInvitation),

		"send":        send,
		"post":        post,
		"datagram":    datagram,
		"subscribe":   now(subscribe),
		"unsubscribe": now(unsubscribe),
		"request":     plain(askPeer),
		"answer":      now(answerTopic),
		"unanswer":    now(unanswer),
		"reply":       now(takeReply),

		"open_stream":     plain(openStream),
		"handle_stream":   now(handleStream),
		"unhandle_stream": now(unhandleStream),
		"read":            streamMethod("read", readStream),
		"write":           streamMethod("write", writeStream),
		"close_write": streamMethod("write", func(h *streamHandle, _ context.Context, _ streamParams) (none, error) {
			return none{}, h.s.CloseWrite()
		}),
		"close": plain(closeStream),
		"reset": plain(resetStream),

		"offer":         with(offer),
		"handle_offers": now(handleOffers),
		"accept_offer":  plain(acceptOffer),
		"decline_offer": now(declineOffer),
		"transfers":     with(transfersNow),
		"wait":          with(waitTransfer),
		"cancel": with(func(e *engine.Engine, _ context.Context, p transferParams) (none, error) {
			return none{}, e.Cancel(p.Transfer)
		}),
		"pause": with(func(e *engine.Engine, _ context.Context, p transferParams) (none, error) {
			return none{}, e.Pause(p.Transfer)
		}),
		"resume": with(func(e *engine.Engine, _ context.Context, p transferParams) (none, error) {
			return none{}, e.Resume(p.Transfer)
		}),
		"retry": with(func(e *engine.Engine, _ context.Context, p transferParams) (none, error) {
			return none{}, e.Retry(p.Transfer)
		}),
		"set_priority": with(func(e *engine.Engine, _ context.Context, p priorityParams) (none, error) {
			return none{}, e.SetPriority(p.Transfer, p.Priority)
		}),

		"open_pairing":  with(func(e *engine.Engine, _ context.Context, _ none) (none, error) { e.OpenPairing(); return none{}, nil }),
		"close_pairing": with(func(e *engine.Engine, _ context.Context, _ none) (none, error) { e.ClosePairing(); return none{}, nil }),
		"pair": with(func(e *engine.Engine, ctx context.Context, p peerParams) (none, error) {
			return none{}, e.Pair(ctx, p.Peer)
		}),
		"confirm_pairing": with(func(e *engine.Engine, _ context.Context, p pairingCodeParams) (none, error) {
			return none{}, e.ConfirmPairing(p.Peer, p.Code)
		}),
		"cancel_pairing": with(func(e *engine.Engine, _ context.Context, p peerParams) (none, error) {
			e.CancelPairing(p.Peer)
			return none{}, nil
		}),
		"pairing_link": with(func(e *engine.Engine, _ context.Context, _ none) (linkParams, error) {
			link, err := e.NewPairingLink()
			return linkParams{link}, err
		}),
		"open_link": with(openLink),
	}
}

// waitsFor is what a request may wait for, possibly for a long time.
type waitsFor int

const (
	nothing waitsFor = iota
	aPeer
	aStream
)

// methodWaits lists the methods that may wait.
var methodWaits = map[string]waitsFor{
	"send": aPeer, "post": aPeer, "request": aPeer, "open_stream": aPeer, "invite": aPeer, "dial": aPeer, "search": aPeer,
	"pair": aPeer, "open_link": aPeer, "wait": aPeer,
	"read": aStream, "write": aStream, "close_write": aStream, "close": aStream,
}

// mostWaiting limits the requests of each kind that run at once.
var mostWaiting = map[waitsFor]int{nothing: maxRunning, aPeer: maxWaiting, aStream: maxOnStreams}

// Methods lists the names of all methods.
func Methods() []string { return slices.Sorted(maps.Keys(methods)) }

// decode decodes the parameters of a method: an object without unknown members.
func decode[P any](params json.RawMessage) (p P, err error) {
	if len(params) == 0 {
		params = json.RawMessage("{}")
	}
	dec := json.NewDecoder(bytes.NewReader(params))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&p); err != nil {
		var own *rpcError
		if errors.As(err, &own) {
			return p, own
		}
		return p, badParams("params: %v", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return p, badParams("params: there is text after the value")
	}
	return p, nil
}

// plain turns a function into a method that runs on its own goroutine.
func plain[P, R any](f func(*session, context.Context, P) (R, error)) method {
	return func(s *session, params json.RawMessage, r *responder) {
		p, err := decode[P](params)
		if err != nil {
			r.soon(nil, err)
			return
		}
		s.wg.Go(func() {
			result, err := f(s, s.calls, p)
			r.done(result, err)
		})
	}
}

// now turns a function that does not block into a method. It has run before the next request is read.
func now[P, R any](f func(*session, context.Context, P) (R, error)) method {
	return func(s *session, params json.RawMessage, r *responder) {
		p, err := decode[P](params)
		if err != nil {
			r.soon(nil, err)
			return
		}
		result, err := f(s, s.calls, p)
		r.soon(result, err)
	}
}

// with turns a function that needs only the engine into a method.
func with[P, R any](f func(*engine.Engine, context.Context, P) (R, error)) method {
	return plain(func(s *session, ctx context.Context, p P) (r R, err error) {
		e, err := s.engine()
		if err != nil {
			return r, err
		}
		return f(e, ctx, p)
	})
}
