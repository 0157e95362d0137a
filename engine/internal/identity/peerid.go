// Package identity defines what a peer is: its Ed25519 key, the certificate that carries it into TLS, the PeerID
// computed from it, and the store of the user's decisions about other peers' keys. A name never identifies a peer.
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

// PeerID identifies a peer: SHA-256 over the DER of its SubjectPublicKeyInfo. Only the owner of a device's key can
// prove that device's ID.
type PeerID [32]byte

var encoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	idChars    = 52 // 32 bytes in base32
	checkChars = 2
	groupChars = 9
	// InstanceChars is how many characters of an ID are in the mDNS instance name.
	InstanceChars = 16
)

// ErrPeerID reports that a string is not a peer ID.
var ErrPeerID = errors.New("not a peer ID")

// IDOf computes the ID of a certificate's key.
func IDOf(c *x509.Certificate) PeerID { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String returns the text form: 52 characters of base32 and 2 check characters, lower case, in six groups of 9 joined
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

// Short returns the first 8 characters, to distinguish two equal names on a screen. An attacker can find a key with
// the same 8 characters: display it, never compare by it.
func (p PeerID) Short() string { return p.plain()[:8] }

// Instance returns the start of the ID, as used in the mDNS instance name.
func (p PeerID) Instance() string { return p.plain()[:InstanceChars] }

// IsZero reports whether p is the zero value, which is not the ID of any peer.
func (p PeerID) IsZero() bool { return p == PeerID{} }

// Broadcast means all peers. No known key has this digest.
var Broadcast = PeerID(bytes.Repeat([]byte{0xff}, len(PeerID{})))

// Reserved reports whether p has a special meaning and is not the ID of any peer: zero means none, and Broadcast means
// all.
func (p PeerID) Reserved() bool { return p.IsZero() || p == Broadcast }

// ShortestPrefix is how many characters of an ID are enough to name a peer: fewer could match strangers by chance.
const ShortestPrefix = 4

// HasPrefix reports whether the text form starts with s, ignoring hyphens, spaces and case. s must have at least
// ShortestPrefix characters.
func (p PeerID) HasPrefix(s string) bool {
	s = normalise(s)
	return len(s) >= ShortestPrefix && strings.HasPrefix(p.plain()+p.checkText(), s)
}

// Compare orders IDs by their bytes, as slices.SortFunc expects.
func (p PeerID) Compare(q PeerID) int { return bytes.Compare(p[:], q[:]) }

// Less reports whether p comes before q: the lower ID dials.
func (p PeerID) Less(q PeerID) bool { return p.Compare(q) < 0 }

// MarshalText returns the text form; see String.
func (p PeerID) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText parses the text form; see ParsePeerID.
func (p *PeerID) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePeerID(string(b))
	return err
}

var separators = strings.NewReplacer("-", "", " ", "")

func normalise(s string) string {
	return separators.Replace(strings.ToLower(strings.TrimSpace(s)))
}

// ParsePeerID parses the text form. It ignores hyphens, spaces and case, but verifies the check characters. Reserved
// IDs are refused.
func ParsePeerID(s string) (PeerID, error) {
	var p PeerID
	t := normalise(s)
	if len(t) != idChars+checkChars {
		return p, fmt.Errorf("%w: it has %d characters, a full ID has %d", ErrPeerID, len(t), idChars+checkChars)
	}
	raw, err := encoding.DecodeString(t[:idChars])
	if err != nil {
		return p, fmt.Errorf("%w: only a-z and 2-7 are allowed", ErrPeerID)
	}
	copy(p[:], raw)
	// base32 ignores the spare bits of the last character, so two strings could give the same ID: encode and compare.
	if p.plain()+p.checkText() != t {
		return PeerID{}, fmt.Errorf("%w: a character is wrong (the check characters do not match)", ErrPeerID)
	}
	if p.Reserved() { // guard: reserved-id
		return PeerID{}, fmt.Errorf("%w: this ID is reserved", ErrPeerID)
	}
	return p, nil
}
