package engine

import (
	"context"
	"encoding/base32"
	"fmt"
	"net/url"
	"strings"

	"multipeer/engine/internal/address"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/pairing"
	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/wire"
)

// linkScheme is the URL scheme of links, for which the program is registered (FyneApp.toml).
const linkScheme = "multipeer"

var secretText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// NewPairingLink opens the pairing window (see OpenPairing) and returns a link that another device can scan or open,
// once, before the pairing window closes. The link holds this device's ID and addresses and a secret, so that the two
// devices connect and verify each other in one step. Anyone who sees the link can use it to be verified: show it to no
// one else. The error is ErrClosed unless the engine runs, and ErrNoNetwork if it has no address.
func (e *Engine) NewPairingLink() (string, error) {
	if !e.tasks.Running() {
		return "", ErrClosed
	}
	ticket := e.Ticket()
	if ticket == "" {
		return "", fmt.Errorf("link: %w", ErrNoNetwork)
	}
	return Link{Ticket: ticket, secret: e.pairings.Secret()}.String(), nil
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
		return bad("too long")
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != linkScheme || u.User != nil || u.Fragment != "" || strings.Trim(u.Path, "/") != "" {
		return bad("not a %s:// link", linkScheme)
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil || len(q["at"]) != 1 || len(q["s"]) > 1 {
		return bad("no addresses")
	}
	l := Link{Ticket: u.Host + "@" + q.Get("at")}
	if l.ID, _, err = address.ParseTarget(l.Ticket); err != nil {
		return Link{}, fmt.Errorf("link: %w", err)
	}
	if text := q.Get("s"); text != "" {
		l.secret, err = secretText.DecodeString(text)
		if err != nil || len(l.secret) != identity.SecretSize {
			return bad("the secret is damaged")
		}
	}
	return l, nil
}

// OpenLink connects to the device that shows a link and verifies it; that device verifies this one too. Only call it in
// response to a user's action, after asking, since links may come from anywhere. Errors are those of ParseLink and
// Dial, ErrDeclined if the link was used before or the pairing window has closed, and ErrTimeout.
func (e *Engine) OpenLink(ctx context.Context, link string) (PeerID, error) {
	l, err := ParseLink(link)
	if err != nil {
		return PeerID{}, err
	}
	if !l.Secret() {
		return l.ID, fmt.Errorf("link: %w: it has no secret; connect by address and compare codes", ErrInvalid)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, peers.InviteTimeout, ErrTimeout)
	defer cancel()
	if _, err := e.Dial(ctx, l.Ticket); err != nil {
		return l.ID, err
	}
	if _, err := e.peers.AwaitLink(ctx, l.ID); err != nil {
		return l.ID, err
	}
	answer := make(chan error, 1)
	if err := e.pairings.ProveLink(pairing.Peer{ID: l.ID, Name: e.peers.NameOf(l.ID)}, l.secret, answer); err != nil {
		return l.ID, err
	}
	select {
	case err = <-answer:
	case <-ctx.Done():
		err = wire.EndOf(ctx)
		e.CancelPairing(l.ID)
	}
	return l.ID, err
}
