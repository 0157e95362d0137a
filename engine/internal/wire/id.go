package wire

import (
	"crypto/rand"
	"encoding/hex"
)

// NewID returns a random ID for an invitation, an offer or the like: 32 hex digits.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
