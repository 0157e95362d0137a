package engine_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestOpError_SaysWhatFailedAndForWhom calls each method that acts on one peer or transfer with one that it must
// refuse.
func TestOpError_SaysWhatFailedAndForWhom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, time.Millisecond)
		e := net.Start(engine.Config{Offers: engine.Everyone, Name: "Anna"}).Engine
		ctx := t.Context()
		id, own := engine.PeerID{1, 2, 3}, e.Self().ID
		const transfer = engine.TransferID("none")
		fails := func(_ any, err error) error { return err }
		for op, c := range map[string]struct {
			err  error
			peer engine.PeerID
			is   error
		}{
			"invite":               {e.Invite(ctx, id), id, engine.ErrNoPeer},
			"open stream to":       {fails(e.OpenStream(ctx, id, "s")), id, engine.ErrNoPeer},
			"pair with":            {e.Pair(ctx, own), own, engine.ErrInvalid},
			"confirm pairing with": {e.ConfirmPairing(id, "1"), id, nil},
			"reject pairing with":  {e.RejectPairing(id), id, nil},
			"path to":              {fails(e.Path(id)), id, engine.ErrNoPeer},
			"ping":                 {fails(e.Ping(ctx, id, engine.PingReliable)), id, engine.ErrNoPeer},
			"offer to":             {fails(e.OfferWith(ctx, own, engine.OfferOptions{Content: strings.NewReader("x"), Name: "x"})), own, engine.ErrInvalid},
			"set trust in":         {e.SetTrust(own, engine.TrustSeen), own, engine.ErrInvalid},
			"auto-accept from":     {e.SetAutoAccept(id, engine.AutoAccept{Bytes: 1}), id, engine.ErrInvalid},
			"pause":                {e.Pause(transfer), engine.PeerID{}, nil},
			"resume":               {e.Resume(transfer), engine.PeerID{}, nil},
			"retry":                {e.Retry(transfer), engine.PeerID{}, nil},
			"set priority of":      {e.SetPriority(transfer, 1), engine.PeerID{}, nil},
			"transfer":             {fails(e.Wait(ctx, transfer)), engine.PeerID{}, nil},
		} {
			var got *engine.OpError
			if !errors.As(c.err, &got) {
				t.Errorf("%s: %v", op, c.err)
				continue
			}
			if got.Op != op || got.Peer != c.peer || c.is != nil && !errors.Is(c.err, c.is) {
				t.Errorf("%s: %+v", op, got)
			}
			if whose := map[bool]string{true: string(transfer), false: c.peer.Short()}[c.peer.IsZero()]; c.err.Error() != op+" "+whose+": "+got.Err.Error() {
				t.Errorf("%s: it says %q", op, c.err)
			}
			if errors.As(got.Err, new(*engine.OpError)) {
				t.Errorf("%s: twice: %v", op, c.err)
			}
		}
	})
}
