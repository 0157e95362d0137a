package wire

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"
)

func checkID(id string) error {
	if len(id) != 32 {
		return malformed("an id is 32 hex digits")
	}
	if _, err := hex.DecodeString(id); err != nil || id != strings.ToLower(id) {
		return malformed("an id is 32 hex digits")
	}
	return nil
}

func checkTotals(files, folders, size int64) error {
	if files < 0 || folders < 0 || size < 0 { // guard: offer-totals
		return malformed("negative totals")
	}
	return nil
}

func (m Hello) check() error {
	if m.Version < 1 {
		return malformed("hello without version")
	}
	if n := len(m.ID); n == 0 || n > 128 {
		return malformed("hello: id of %d bytes", n)
	}
	if n := len(m.Boot); n < 8 || n > 32 {
		return malformed("hello: boot of %d bytes", n)
	}
	if m.UDP < 0 || m.UDP > 65535 || m.TCP < 0 || m.TCP > 65535 {
		return malformed("hello: ports %d and %d", m.UDP, m.TCP)
	}
	if err := ValidateInfo(m.Info); err != nil {
		return malformed("%v", err)
	}
	if m.Service != "" && ValidateServiceType(m.Service) != nil {
		return malformed("hello: service type of %d bytes", len(m.Service))
	}
	return checkPeerName(m.Name)
}

// checkPeerName only limits the length: CleanName makes any name fit for display, so a bad one never ends the
// connection.
func checkPeerName(s string) error {
	if len(s) > 4*MaxName || !utf8.ValidString(s) { // guard: peer-name
		return malformed("name of %d bytes", len(s))
	}
	return nil
}

func (m HelloAck) check() error     { return Hello(m).check() }
func (m Invite) check() error       { return checkID(m.ID) }
func (m InviteAnswer) check() error { return checkID(m.ID) }
func (m InviteCancel) check() error { return checkID(m.ID) }
func (m Leave) check() error        { return nil }
func (m Renew) check() error        { return checkCount(m.N) }
func (m Ping) check() error         { return nil }
func (m Pong) check() error         { return nil }
func (m TextAck) check() error      { return checkCount(m.N) }
func (m OfferPause) check() error   { return checkID(m.ID) }
func (m OfferResume) check() error  { return checkID(m.ID) }
func (m LaneAck) check() error      { return nil }
func (m Echo) check() error         { return nil }

func (m PairStart) check() error   { return checkPair(m.ID, m.Commit) }
func (m PairNonce) check() error   { return checkPair(m.ID, m.Nonce) }
func (m PairReveal) check() error  { return checkPair(m.ID, m.Nonce) }
func (m PairConfirm) check() error { return checkPair(m.ID, m.Proof) }
func (m PairLink) check() error    { return checkPair(m.ID, m.Proof) }
func (m PairCancel) check() error  { return checkID(m.ID) }

func (m OfferAnswer) check() error {
	if m.Done != nil {
		if m.Done.LeftOut < 0 {
			return malformed("offer: %d left out", m.Done.LeftOut)
		}
		if err := checkTotals(m.Done.Files, m.Done.Folders, m.Done.Bytes); err != nil {
			return err
		}
	}
	return checkAttempt(m.ID, m.Attempt)
}

func (m OfferCancel) check() error {
	if m.Reason < 0 || m.Reason > 255 || len(m.Path) > 4096 { // guard: offer-reason
		return malformed("offer: reason %d, path of %d bytes", m.Reason, len(m.Path))
	}
	return checkID(m.ID)
}

// checkPair requires exactly 32 bytes: see identity.NonceSize.
func checkPair(id, value string) error {
	if len(value) != 64 { // guard: pairing-length
		return malformed("pairing: %d hex digits, want 64", len(value))
	}
	if _, err := hex.DecodeString(value); err != nil || value != strings.ToLower(value) {
		return malformed("pairing: 64 hex digits in lower case")
	}
	return checkID(id)
}

func (m Info) check() error {
	if err := ValidateInfo(m.Info); err != nil {
		return malformed("%v", err)
	}
	return checkPeerName(m.Name)
}

func (m Peers) check() error {
	if len(m.Peers) == 0 || len(m.Peers) > MaxPeersAnnounced { // guard: gossip-frame
		return malformed("%d peers", len(m.Peers))
	}
	for _, p := range m.Peers {
		if n := len(p.ID); n == 0 || n > 128 {
			return malformed("peers: id of %d bytes", n)
		}
		a := p.Addr.Addr()
		if !a.IsValid() || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() || p.Addr.Port() == 0 {
			return malformed("peers: an address that is not that of one host")
		}
	}
	return nil
}

func (m StreamOpen) check() error {
	if err := ValidateStreamName(m.Name); err != nil {
		return malformed("%v", err)
	}
	return nil
}

func checkCount(n uint64) error {
	if n == 0 {
		return malformed("messages count from 1")
	}
	return nil
}

func (m Text) check() error {
	contents := 0
	for _, is := range []bool{m.Body != nil, m.Data != nil, m.Failed != ""} {
		if is {
			contents++
		}
	}
	switch {
	case contents != 1: // guard: message-contents
		return malformed("message with %d contents", contents)
	case m.Size() > MaxMessage: // guard: message-size
		return malformed("message of %d bytes", m.Size())
	case m.Failed != "" && (m.Reply == 0 || len(m.Failed) > MaxFailed): // guard: message-failed
		return malformed("message: reason of %d bytes", len(m.Failed))
	case m.Ask != 0 && m.Reply != 0: // guard: message-both
		return malformed("message that asks and replies")
	}
	if m.Topic != "" {
		if err := ValidateTopic(m.Topic); err != nil { // guard: message-topic
			return malformed("%v", err)
		}
	}
	return checkCount(m.N)
}

func (m Offer) check() error {
	if err := checkID(m.ID); err != nil {
		return err
	}
	if len(m.Names) == 0 || int64(len(m.Names)) != min(m.Items, MaxOfferNames) { // guard: offer-names
		return malformed("offer: %d names of %d", len(m.Names), m.Items)
	}
	if m.Counting && m.Folders == 0 { // guard: offer-counting
		return malformed("offer: files alone are not counted")
	}
	for _, name := range m.Names {
		if len(name) == 0 || len(name) > 1024 {
			return malformed("offer: name of %d bytes", len(name))
		}
	}
	if err := checkAttempt(m.ID, m.Attempt); err != nil {
		return err
	}
	if m.OnDisk < 0 {
		return malformed("negative on_disk")
	}
	if len(m.Note) > MaxNote { // guard: offer-note
		return malformed("offer: note of %d bytes", len(m.Note))
	}
	if len(m.Preview) > MaxPreview { // guard: offer-preview
		return malformed("offer: preview of %d bytes", len(m.Preview))
	}
	return checkTotals(m.Files, m.Folders, m.Bytes)
}

func checkAttempt(id string, attempt int64) error {
	if attempt < 1 {
		return malformed("attempts count from 1")
	}
	return checkID(id)
}

func (m Lanes) check() error {
	if m.QUIC < 0 || m.QUIC > MaxLanes {
		return malformed("%d lanes", m.QUIC)
	}
	return checkAttempt(m.ID, m.Attempt)
}

func (m OfferUpdate) check() error {
	if err := checkID(m.ID); err != nil {
		return err
	}
	return checkTotals(m.Files, m.Folders, m.Bytes)
}

func (m Lane) check() error {
	if len(m.Token) != 64 {
		return malformed("a token is 64 hex digits")
	}
	return checkAttempt(m.ID, m.Attempt)
}
