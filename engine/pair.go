package engine

import (
	"context"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// Bounds on pairing. Failures are counted over all peers and addresses: keys and addresses are free.
const (
	// PairingWindow is how long a device can be paired after its user has asked for it.
	PairingWindow = 2 * time.Minute
	// PairingTimeout is how long two people have for comparing one code.
	PairingTimeout = time.Minute
	// MaxPairingFailures closes the window.
	MaxPairingFailures = 3
	// maxPairingsADay bounds the attempts with one key that have come as far as a code.
	maxPairingsADay = 10
	// maxPairingAsked bounds the peers that wait to be picked.
	maxPairingAsked = 5
	// mismatchPause is how long a peer whose code did not match cannot pair.
	mismatchPause = 10 * time.Minute
)

// PairingStage is how far a pairing is.
type PairingStage int

// The stages of a pairing. The last two are final.
const (
	PairingAsked     PairingStage = iota // the peer asks; Pair picks it
	PairingWaiting                       // we have asked; its user has not picked us yet
	PairingStarted                       // both have picked each other; the codes are being made
	PairingCompare                       // the codes are on both screens; ConfirmPairing or RejectPairing
	PairingConfirmed                     // our user has said yes; the other has not yet
	PairingDone                          // both have said yes: the peer is verified
	PairingFailed                        // Err says why
)

func (s PairingStage) String() string {
	names := [...]string{"asked", "waiting", "started", "compare", "confirmed", "done", "failed"}
	if s >= 0 && int(s) < len(names) {
		return names[s]
	}
	return fmt.Sprintf("PairingStage(%d)", int(s))
}

// Final tells a stage that does not change any more.
func (s PairingStage) Final() bool { return s >= PairingDone }

// Pairing is an attempt of two people to verify each other's device.
type Pairing struct {
	Peer  PeerID
	Name  string
	Stage PairingStage
	// Code is what the initiator's screen shows while the two compare, such as "541 152"; empty on the other side.
	Code string
	// Choices are three codes, one of which is on the initiator's screen: a person who has to pick reads both. Empty on
	// the initiator's side.
	Choices []string
	Until   time.Time // when it fails by itself
	Err     error
}

// OpenPairing lets other devices ask to be paired, for PairingWindow; only call it for a user's act. While it is open
// strangers may connect whatever the visibility. It tells when it closes, as Self.PairingUntil does; zero while the engine
// does not run.
func (e *Engine) OpenPairing() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.openPairing()
}

// ClosePairing closes the window; those who ask or are asked get no answer any more. It is idempotent. A pairing whose
// codes are on the screens goes on.
func (e *Engine) ClosePairing() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closePairing(ErrCancelled)
}

// Pair asks a peer to compare codes, or picks one that asks: only call it for a user's act. It opens the window if it
// is closed, waits for the peer to be reached, and returns; PairingChanged tells the rest. The other user has to pick
// this device too. Errors are ErrNoPeer, ErrTimeout, ErrCancelled, ErrBusy during another comparison or after too
// many attempts, ErrMismatch within ten minutes after one.
func (e *Engine) Pair(ctx context.Context, id PeerID) error {
	if id == e.profile.ID || id.IsZero() {
		return fmt.Errorf("pairing: %w: that is this device", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	p, _, err := e.waitLink(ctx, id)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if p.link == nil {
		return ErrNotConnected
	}
	return e.pairWith(p)
}

// ConfirmPairing says that this device's user has compared the codes. On the side that chooses, code is the choice,
// and one that is not the right one ends the pairing with ErrMismatch. On the other side it is empty, or what the user
// has read from the other screen. Spaces do not matter. The peer is verified when both have confirmed.
func (e *Engine) ConfirmPairing(id PeerID, code string) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.pairingOf(id)
	if a == nil || a.view.Stage != PairingCompare {
		return ErrAnswered
	}
	code = strings.ReplaceAll(code, " ", "")
	if code != a.code && (a.role == identity.Responder || code != "") {
		e.failPairing(a, ErrMismatch, wire.Mismatch)
		return ErrMismatch
	}
	return e.confirmPairing(a)
}

// RejectPairing says that the codes do not match: it ends the pairing, and this peer cannot pair for ten minutes.
func (e *Engine) RejectPairing(id PeerID) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.pairingOf(id)
	if a == nil || a.view.Stage != PairingCompare && a.view.Stage != PairingConfirmed {
		return ErrAnswered
	}
	e.failPairing(a, ErrMismatch, wire.Mismatch)
	return nil
}

// CancelPairing ends a pairing with a peer, or declines one. It is idempotent.
func (e *Engine) CancelPairing(id PeerID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if a := e.pairingOf(id); a != nil {
		e.failPairing(a, ErrCancelled, wire.Cancelled)
	}
}

// Pairings lists the pairings that are under way.
func (e *Engine) Pairings() []Pairing {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pairings()
}

// linkScheme begins a link; URL schemes are registered with it (FyneApp.toml).
const linkScheme = "multipeer"

var secretText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PairingLink opens the window and returns a link for another device to scan or open there, once, while the window is
// open: it holds this device's ID and addresses, and a secret, so that the two connect and verify each other in one
// step. Whoever sees the link can be verified by it: show it to nobody else. Empty before Run has opened the port.
func (e *Engine) PairingLink() string {
	ticket := e.Ticket()
	if ticket == "" {
		return ""
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.openPairing()
	return Link{Ticket: ticket, secret: e.pair.secret}.String()
}

// Link is what a link holds; its String is the link. The zero secret is that of a link that only connects.
type Link struct {
	ID     PeerID
	Ticket string // for Dial

	secret []byte
}

// Secret tells that opening the link verifies both devices.
func (l Link) Secret() bool { return len(l.secret) > 0 }

func (l Link) String() string {
	id, addrs, _ := strings.Cut(l.Ticket, "@")
	u := linkScheme + "://" + id + "/?at=" + url.QueryEscape(addrs)
	if l.Secret() {
		u += "&s=" + secretText.EncodeToString(l.secret)
	}
	return u
}

// ParseLink reads a link that a person has scanned, clicked or pasted. The error is ErrInvalid with the reason.
func ParseLink(s string) (Link, error) {
	bad := func(format string, a ...any) (Link, error) {
		return Link{}, fmt.Errorf("link: %w: %s", ErrInvalid, fmt.Sprintf(format, a...))
	}
	s = strings.TrimSpace(s)
	if len(s) > 4096 {
		return bad("it is too long")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != linkScheme || u.User != nil || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return bad("it begins with %s://", linkScheme)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(q["at"]) != 1 || len(q["s"]) > 1 {
		return bad("it holds no addresses")
	}
	l := Link{Ticket: u.Host + "@" + q.Get("at")}
	if l.ID, _, err = parseTarget(l.Ticket); err != nil {
		return Link{}, fmt.Errorf("link: %w", err)
	}
	if text := q.Get("s"); text != "" {
		l.secret, err = secretText.DecodeString(text)
		if err != nil || len(l.secret) != identity.SecretSize {
			return bad("its secret is damaged")
		}
	}
	return l, nil
}

// OpenLink connects to the device that shows a link, and verifies: there this device is verified too. Only call it for
// a user's act, after asking, since links may come from anywhere. Errors are those of ParseLink and Dial, ErrDeclined if
// the link was used before or the window has closed, ErrTimeout.
func (e *Engine) OpenLink(ctx context.Context, link string) (PeerID, error) {
	l, err := ParseLink(link)
	if err != nil {
		return PeerID{}, err
	}
	if !l.Secret() {
		return l.ID, fmt.Errorf("link: %w: it holds no secret; connect with Dial and compare codes", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	if _, err := e.Dial(ctx, l.Ticket); err != nil {
		return l.ID, err
	}
	p, _, err := e.waitLink(ctx, l.ID)
	if err != nil {
		return l.ID, err
	}
	answer := make(chan error, 1)
	e.mu.Lock()
	if p.link == nil {
		e.mu.Unlock()
		return l.ID, ErrNotConnected
	}
	err = e.proveLink(p, l.secret, answer)
	e.mu.Unlock()
	if err != nil {
		return l.ID, err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = ended(ctx)
		e.CancelPairing(l.ID)
	}
	return l.ID, err
}
