package wire

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a random ID, such as for an invitation or an offer: 32 hex digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
