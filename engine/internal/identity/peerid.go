// Package identity holds what a peer is: its Ed25519 key, the certificate
// that carries it into TLS, the PeerID computed from it, and the store of what
// the user has decided about other peers' keys. Names never stand for a peer.
package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"errors"
	"fmt"
	"strings"
)

// PeerID names a peer: SHA-256 over the DER of its SubjectPublicKeyInfo. It can be made for another device only by
// who has that device's key.
type PeerID [32]byte

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	idChars    = 52 // 32 bytes in base32
	checkChars = 2
	groupChars = 9
	// InstanceChars is how much of an ID stands in the mDNS instance name.
	InstanceChars = 16
)

// ErrPeerID tells that a text is no peer ID.
var ErrPeerID = errors.New("not a peer ID")

// IDOf computes the ID of a certificate's key.
func IDOf(c *x509.Certificate) PeerID { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String is the text form: 52 characters of base32 and 2 check characters, lower case, in six groups of 9 joined
// by hyphens.
func (p PeerID) String() string {
	s := p.plain() + p.checkText()
	var b strings.Builder
	for i := 0; i < len(s); i += groupChars {
		if i > 0 {
			b.WriteByte('-')
		}
		b.WriteString(s[i : i+groupChars])
	}
	return b.String()
}

func (p PeerID) plain() string { return encoding.EncodeToString(p[:]) }

func (p PeerID) checkText() string {
	h := sha256.New()
	h.Write([]byte("multipeer peer ID"))
	h.Write(p[:])
	return encoding.EncodeToString(h.Sum(nil)[:2])[:checkChars]
}

// Short is the first 8 characters, to tell two equal names apart on a screen. It can be ground by an attacker:
// show it, never compare by it.
func (p PeerID) Short() string { return p.plain()[:8] }

// Instance is the start of the ID that stands in the mDNS instance name.
func (p PeerID) Instance() string { return p.plain()[:InstanceChars] }

// IsZero tells the zero value, which is nobody's ID.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// HasPrefix tells whether the text form starts with s; hyphens, spaces and case do not matter.
func (p PeerID) HasPrefix(s string) bool {
	s = normalise(s)
	return s != "" && strings.HasPrefix(p.plain()+p.checkText(), s)
}

// Compare orders IDs by their bytes: below zero if p comes before q, as slices.SortFunc wants it.
func (p PeerID) Compare(q PeerID) int { return bytes.Compare(p[:], q[:]) }

// Less is Compare below zero: the lower one dials.
func (p PeerID) Less(q PeerID) bool { return p.Compare(q) < 0 }

// MarshalText is String.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is ParsePeerID.
func (p *PeerID) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePeerID(string(b))
	return err
}

var separators = strings.NewReplacer("-", "", " ", "")

func normalise(s string) string {
	return separators.Replace(strings.ToLower(strings.TrimSpace(s)))
}

// ParsePeerID reads the text form; hyphens, spaces and case do not matter, the check characters do.
func ParsePeerID(s string) (PeerID, error) {
	var p PeerID
	t := normalise(s)
	if len(t) != idChars+checkChars {
		return p, fmt.Errorf("%w: %d characters, a full ID has %d", ErrPeerID, len(t), idChars+checkChars)
	}
	raw, err := encoding.DecodeString(t[:idChars])
	if err != nil {
		return p, fmt.Errorf("%w: only a-z and 2-7 stand in one", ErrPeerID)
	}
	copy(p[:], raw)
	// base32 ignores the spare bits of the last character, so that two texts would give one ID: encode and compare.
	if p.plain()+p.checkText() != t {
		return PeerID{}, fmt.Errorf("%w: a character is wrong (the check characters do not fit)", ErrPeerID)
	}
	return p, nil
}
