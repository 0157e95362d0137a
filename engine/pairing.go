package engine

import (
	"context"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/pairing"
)

// Limits on pairing.
const (
	// PairingWindow is how long a device accepts pairing after its user has asked for it.
	PairingWindow = pairing.Window
	// PairingTimeout is how long two people have to compare one code.
	PairingTimeout = pairing.Timeout
	// MaxPairingFailures is the number of failures that closes the window.
	MaxPairingFailures = pairing.MaxFailures
)

// PairingStage is the progress of a pairing. Its methods:
//
//	String() string   its name, such as "compare"
//	Final() bool      whether the stage cannot change any more
type PairingStage = pairing.Stage

// The stages of a pairing. The last two are final.
const (
	PairingAsked     = pairing.Asked     // the peer asks; Pair picks it
	PairingWaiting   = pairing.Waiting   // we have asked; the peer's user has not picked us yet
	PairingStarted   = pairing.Started   // both have picked each other; the codes are being computed
	PairingCompare   = pairing.Compare   // the codes are on both screens; call ConfirmPairing or RejectPairing
	PairingConfirmed = pairing.Confirmed // our user has confirmed; the other user has not yet
	PairingDone      = pairing.Done      // both users have confirmed: the peer is verified
	PairingFailed    = pairing.Failed    // Err is the reason
)

// Pairing is an attempt of two people to verify each other's device.
type Pairing struct {
	Peer  PeerID
	Name  string
	Stage PairingStage
	// Code is what the initiator's screen shows during the comparison, such as "541 152"; empty on the other side.
	Code string
	// Choices are three codes, one of which is on the initiator's screen: having to pick makes a person read both
	// screens. Empty on the initiator's side.
	Choices []string
	Until   time.Time // when the pairing fails by itself
	Err     error
}

// OpenPairing lets other devices ask for pairing, for PairingWindow. Only call it in response to a user's action:
// while the window is open, strangers may connect regardless of the visibility. It returns the time when the window
// closes, like Self.PairingUntil; the zero time if the engine does not run.
func (e *Engine) OpenPairing() time.Time { return e.pairings.Open() }

// ClosePairing closes the window and ends the pairings that have no code yet, except one by OpenLink. Pairings whose
// codes are on the screens continue. It is idempotent.
func (e *Engine) ClosePairing() { e.pairings.Close() }

// Pair asks a peer to compare codes, or picks one that asks. Only call it in response to a user's action. It opens
// the window if it is closed, waits for the peer to be connected, and returns; PairingChanged reports the progress.
// The other user has to pick this device too. Errors are ErrNoPeer, ErrTimeout, ErrCancelled, ErrBusy during another
// comparison or after too many attempts, and ErrMismatch within ten minutes after a mismatch.
func (e *Engine) Pair(ctx context.Context, id PeerID) error {
	if id == e.profile.ID || id.IsZero() {
		return fmt.Errorf("pairing: %w: a device cannot pair with itself", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	if _, _, err := e.waitLink(ctx, id); err != nil {
		return err
	}
	return e.pairings.Pair(pairing.Peer{ID: id, Name: e.nameOf(id)})
}

// ConfirmPairing confirms that this device's user has compared the codes. On the side that chooses, code is the
// choice; a wrong choice ends the pairing with ErrMismatch. On the other side code is empty, or what the user has
// read from the other screen. Spaces are ignored. The peer is verified when both have confirmed.
func (e *Engine) ConfirmPairing(id PeerID, code string) error {
	return e.pairings.Confirm(id, strings.ReplaceAll(code, " ", ""))
}

// RejectPairing reports that the codes do not match: it ends the pairing, and this peer cannot pair for ten minutes.
func (e *Engine) RejectPairing(id PeerID) error { return e.pairings.Reject(id) }

// CancelPairing ends a pairing with a peer, or declines one. It is idempotent.
func (e *Engine) CancelPairing(id PeerID) { e.pairings.Cancel(id) }

// Pairings lists the pairings in progress.
func (e *Engine) Pairings() (list []Pairing) {
	e.pairings.Freeze(func(views []pairing.View) { list = publicPairings(views) })
	return list
}

func publicPairings(views []pairing.View) []Pairing {
	var out []Pairing
	for _, v := range views {
		out = append(out, Pairing(v))
	}
	return out
}

// linkScheme is the URL scheme of links, for which the program is registered (FyneApp.toml).
const linkScheme = "multipeer"

var secretText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// PairingLink opens the window and returns a link for another device to scan or open, once, while the window is open.
// The link holds this device's ID and addresses and a secret, so that the two devices connect and verify each other
// in one step. Anyone who sees the link can use it to be verified: show it to no one else. It is empty before Run has
// opened the port.
func (e *Engine) PairingLink() string {
	ticket := e.Ticket()
	if ticket == "" {
		return ""
	}
	return Link{Ticket: ticket, secret: e.pairings.Secret()}.String()
}

// Link is a parsed link; String returns its text. A link without a secret only connects.
type Link struct {
	ID     PeerID
	Ticket string // for Dial

	secret []byte
}

// Secret reports whether opening the link verifies both devices.
func (l Link) Secret() bool { return len(l.secret) > 0 }

func (l Link) String() string {
	id, addrs, _ := strings.Cut(l.Ticket, "@")
	u := linkScheme + "://" + id + "/?at=" + url.QueryEscape(addrs)
	if l.Secret() {
		u += "&s=" + secretText.EncodeToString(l.secret)
	}
	return u
}

// ParseLink parses a link that a person has scanned, clicked or pasted. The error is ErrInvalid with the reason.
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

// OpenLink connects to the device that shows a link and verifies it; that device verifies this one too. Only call it
// in response to a user's action, after asking, since links may come from anywhere. Errors are those of ParseLink and
// Dial, ErrDeclined if the link was used before or the window has closed, and ErrTimeout.
func (e *Engine) OpenLink(ctx context.Context, link string) (PeerID, error) {
	l, err := ParseLink(link)
	if err != nil {
		return PeerID{}, err
	}
	if !l.Secret() {
		return l.ID, fmt.Errorf("link: %w: it contains no secret; connect with Dial and compare codes", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, InviteTimeout, ErrTimeout)
	defer cancel()
	if _, err := e.Dial(ctx, l.Ticket); err != nil {
		return l.ID, err
	}
	if _, _, err := e.waitLink(ctx, l.ID); err != nil {
		return l.ID, err
	}
	answer := make(chan error, 1)
	if err := e.pairings.ProveLink(pairing.Peer{ID: l.ID, Name: e.nameOf(l.ID)}, l.secret, answer); err != nil {
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
