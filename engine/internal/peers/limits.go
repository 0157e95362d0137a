package peers

import (
	"context"
	"time"

	"multipeer/engine/internal/wire"

	"golang.org/x/time/rate"
)

// Rate limits for one peer, per second and as a burst. Stream data beyond the rate is read later, which only fills
// that peer's own flow-control window; datagrams beyond it are dropped. docs/security.md lists all limits.
const (
	strangerFrames = 50 // frames on the control stream, without a session
	strangerBurst  = 200
	frameRate      = 20_000
	frameBurst     = 20_000
	strangerBytes  = 64 << 10 // bytes of frames, without a session
	strangerAtOnce = 256 << 10
	byteRate       = 32 << 20 // larger data uses streams and lanes
	byteBurst      = 8 << 20
	infoRate       = 10 // changes of name and info
	infoBurst      = 50
	// strangerInfoRate is for peers without a session: each change is compared with the names of known peers, and goes
	// to all readers.
	strangerInfoRate  = 1
	strangerInfoBurst = 10
	peersRate         = 4 // frames that announce other peers
	peersBurst        = 16
	strangerGrams     = 20 // datagrams
	gramRate          = 10_000
	strangerOpens     = 20 // streams
	openRate          = 2000
	openBurst         = 200
	echoRate          = 1 << 20 // bytes of echo streams
	// strangersEchoRate applies to the echo streams of all peers without a session together.
	strangersEchoRate = 1 << 20
)

// Limits on connections that strangers have dialled and that have no session, in total and from one source.
const (
	maxStrangerConns      = 128
	maxStrangersPerSource = 64
	// maxStrangerSessions applies to strangers that have a session, since a policy has accepted them. The limit per
	// source is the same as without a session.
	maxStrangerSessions = 512
)

// pace limits what a peer does over one connection, more strictly without a session.
type pace struct {
	stranger, friend *rate.Limiter
}

func newPace(strangers rate.Limit, strangersBurst int, friends rate.Limit, friendsBurst int) pace {
	return pace{rate.NewLimiter(strangers, strangersBurst), rate.NewLimiter(friends, friendsBurst)}
}

func (p pace) of(joined bool) *rate.Limiter {
	if joined {
		return p.friend
	}
	return p.stranger
}

// wait blocks until one more item may be read.
func (p pace) wait(ctx context.Context, joined bool) error {
	if l := p.of(joined); !l.Allow() { // guard: frame-rate
		return l.Wait(ctx)
	}
	return nil
}

// reading holds the limits on reading from one connection.
type reading struct {
	frames, bytes pace
	info          pace
	peers         *rate.Limiter
}

func newReading() reading {
	return reading{
		newPace(strangerFrames, strangerBurst, frameRate, frameBurst),
		newPace(strangerBytes, strangerAtOnce, byteRate, byteBurst),
		newPace(strangerInfoRate, strangerInfoBurst, infoRate, infoBurst), rate.NewLimiter(peersRate, peersBurst),
	}
}

// frame blocks until a frame of n bytes of any type may be decoded.
func (r reading) frame(ctx context.Context, joined bool, n int) error {
	bytes := r.bytes.of(joined)
	for left := n; left > 0; {
		part := min(left, bytes.Burst())
		if !bytes.AllowN(time.Now(), part) { // guard: byte-rate
			if err := bytes.WaitN(ctx, part); err != nil {
				return err
			}
		}
		left -= part
	}
	return r.frames.wait(ctx, joined)
}

// message blocks until msg may be handled.
func (r reading) message(ctx context.Context, joined bool, msg wire.Message) error {
	if isDecision(msg) { // guard: decision-rate
		return r.info.of(joined).Wait(ctx)
	}
	switch msg.(type) {
	case wire.Info:
		return r.info.of(joined).Wait(ctx)
	case wire.Peers:
		return r.peers.Wait(ctx)
	}
	return nil
}

// isDecision reports whether a message pauses or resumes a transfer: each one changes a record in the database.
func isDecision(msg wire.Message) bool {
	switch msg.(type) {
	case wire.OfferPause, wire.OfferResume:
		return true
	}
	return false
}
