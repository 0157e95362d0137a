package identity

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Pairing computes what two people compare to know that no third device is between theirs: a short code that both
// sides commit to before either can know it, bound to the TLS connection and to both keys (the pattern of ZRTP, RFC
// 6189 section 4.4.1.1, and of Vaudenay 2005). One side, the initiator, sends a commitment to its nonce; the other
// sends its nonce; then the initiator reveals. A device in the middle has two connections with different bindings,
// and has to fix its nonce in each before it sees the honest one, so that one attempt succeeds with probability
// 1/CodeSpace.
type Pairing struct {
	Initiator, Responder PeerID
	Binding              []byte // the connection's TLS exporter with BindingLabel, NonceSize bytes
}

// BindingLabel is the exporter label of Pairing.Binding (RFC 9266).
const BindingLabel = "EXPORTER-Channel-Binding"

const (
	// NonceSize is the length of nonces, commitments, bindings and proofs, in bytes. No other length is accepted:
	// HMAC pads keys with zeros, so a nonce with one more zero would have the same commitment but another code.
	NonceSize = 32
	// CodeDigits is the length of a code.
	CodeDigits = 6
	// CodeSpace is the number of possible codes.
	CodeSpace = 1_000_000
)

// Role is a side of a pairing.
type Role string

// The roles.
const (
	Initiator Role = "I"
	Responder Role = "R"
)

// Commit returns the commitment that the initiator sends first.
func (p Pairing) Commit(nonceI []byte) []byte {
	return mac(nonceI, []byte("commit"), []byte("pair/1"), p.Initiator[:], p.Responder[:], p.Binding)
}

// Opens reports whether the revealed nonce matches the commitment.
func (p Pairing) Opens(commitment, nonceI []byte) bool {
	return len(nonceI) == NonceSize && hmac.Equal(commitment, p.Commit(nonceI))
}

// Code returns the code that both sides show, CodeDigits digits. Both nonces have NonceSize bytes.
func (p Pairing) Code(nonceI, nonceR []byte) string { return p.CodeOf(nonceI, nonceR, CodeSpace) }

// CodeOf is Code in a smaller space, for tests that count how often a guess succeeds.
func (p Pairing) CodeOf(nonceI, nonceR []byte, space uint64) string {
	info := "sas" + string(p.Initiator[:]) + string(p.Responder[:])
	return fmt.Sprintf("%0*d", CodeDigits, binary.BigEndian.Uint64(p.derive(nonceI, nonceR, info, 8))%space)
}

// Confirm returns the proof that the user on one side has confirmed the code.
func (p Pairing) Confirm(nonceI, nonceR []byte, from Role, code string) []byte {
	return mac(p.derive(nonceI, nonceR, "confirm"+string(from), 32), []byte("yes"), []byte(code))
}

// Confirms reports whether a proof is that side's confirmation.
func (p Pairing) Confirms(proof, nonceI, nonceR []byte, from Role, code string) bool {
	return hmac.Equal(proof, p.Confirm(nonceI, nonceR, from, code))
}

// LinkProof returns the proof that the side from knows the secret of a link, bound to the connection. The initiator is
// the device that was given the link: it has read the secret and the other device's ID from that device's screen.
func (p Pairing) LinkProof(secret []byte, from Role) []byte {
	return mac(secret, []byte("link/1"), []byte(from), p.Initiator[:], p.Responder[:], p.Binding)
}

// LinkProves reports whether proof is the LinkProof of that side.
func (p Pairing) LinkProves(proof, secret []byte, from Role) bool {
	return len(secret) == SecretSize && hmac.Equal(proof, p.LinkProof(secret, from))
}

// SecretSize is the length of a link's secret in bytes.
const SecretSize = 16

func (p Pairing) derive(nonceI, nonceR []byte, info string, n int) []byte {
	b, err := hkdf.Key(sha256.New, p.Binding, append(append([]byte{}, nonceI...), nonceR...), info, n)
	if err != nil {
		panic(err) // only for lengths that no caller passes
	}
	return b
}

func mac(key []byte, parts ...[]byte) []byte {
	h := hmac.New(sha256.New, key)
	for _, b := range parts {
		h.Write(b)
	}
	return h.Sum(nil)
}
