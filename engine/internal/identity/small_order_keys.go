package identity

import (
	"crypto/ed25519"
	"encoding/hex"
	"slices"
)

// lowOrder are the y-coordinates, little-endian, of the eight points of Curve25519 whose order divides 8. Anyone can
// make valid signatures for such a public key: it belongs to no one. The sign of x is the top bit of the last byte
// and not in this list.
var lowOrder = [][ed25519.PublicKeySize]byte{
	unhex("0000000000000000000000000000000000000000000000000000000000000000"), // 0, order 4
	unhex("0100000000000000000000000000000000000000000000000000000000000000"), // 1, the neutral point
	unhex("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f"), // p-1, order 2
	unhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), // order 8
	unhex("c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"), // order 8
}

// fieldPrime is p = 2^255 - 19, little-endian.
var fieldPrime = unhex("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f")

func unhex(s string) (out [ed25519.PublicKeySize]byte) {
	if n, err := hex.Decode(out[:], []byte(s)); err != nil || n != len(out) {
		panic("a constant is wrong: " + s)
	}
	return out
}

// weak reports whether a public key has small order, so that it proves nothing, or a non-canonical encoding:
// crypto/ed25519 accepts both. Such a key would belong to everyone, or would have two IDs.
func weak(key ed25519.PublicKey) bool {
	if len(key) != ed25519.PublicKeySize {
		return true
	}
	y := [ed25519.PublicKeySize]byte(key)
	y[31] &= 0x7f
	return slices.Contains(lowOrder, y) || !below(y, fieldPrime)
}

// below compares little-endian numbers. They are public, so it need not run in constant time.
func below(a, b [ed25519.PublicKeySize]byte) bool {
	for i := len(a) - 1; i >= 0; i-- {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}
