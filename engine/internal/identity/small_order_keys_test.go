package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"math/big"
	"slices"
	"testing"
	"time"
)

// point is a point of the curve -x² + y² = 1 + dx²y² over p, in plain arithmetic.
type point struct{ x, y *big.Int }

var (
	curveP = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	curveD = div(big.NewInt(-121665), big.NewInt(121666))
)

func mod(n *big.Int) *big.Int    { return new(big.Int).Mod(n, curveP) }
func mul(a, b *big.Int) *big.Int { return mod(new(big.Int).Mul(a, b)) }
func add(a, b *big.Int) *big.Int { return mod(new(big.Int).Add(a, b)) }
func sub(a, b *big.Int) *big.Int { return mod(new(big.Int).Sub(a, b)) }
func div(a, b *big.Int) *big.Int { return mul(mod(a), new(big.Int).ModInverse(mod(b), curveP)) }
func (p point) plus(q point) point {
	one, c := big.NewInt(1), mul(curveD, mul(mul(p.x, q.x), mul(p.y, q.y)))
	return point{
		div(add(mul(p.x, q.y), mul(p.y, q.x)), add(one, c)),
		div(add(mul(p.y, q.y), mul(p.x, q.x)), sub(one, c)),
	}
}

// of returns the point of an encoding; nil if there is none.
func of(key [32]byte) *point {
	sign := key[31] >> 7
	key[31] &= 0x7f
	b := slices.Clone(key[:])
	slices.Reverse(b)
	y := mod(new(big.Int).SetBytes(b))
	one, yy := big.NewInt(1), mul(y, y)
	x := new(big.Int).ModSqrt(div(sub(yy, one), add(mul(curveD, yy), one)), curveP)
	if x == nil {
		return nil
	}
	if x.Bit(0) != uint(sign) {
		x = sub(big.NewInt(0), x)
	}
	return &point{x, y}
}

// small reports whether eight times a point is the neutral one.
func (p point) small() bool {
	for range 3 {
		p = p.plus(p)
	}
	return p.x.Sign() == 0 && p.y.Cmp(big.NewInt(1)) == 0
}

// TestWeak_SmallOrderAndNonCanonicalKeys: points of small order and non-canonical encodings, which crypto/ed25519
// accepts, are rejected; no generated key is.
func TestWeak_SmallOrderAndNonCanonicalKeys(t *testing.T) {
	points := map[string]bool{}
	for _, y := range lowOrder {
		for _, sign := range []byte{0, 0x80} {
			key := y
			key[31] |= sign
			p := of(key)
			if p == nil || !p.small() {
				t.Fatalf("%x is not a point of small order", key)
			}
			points[fmt.Sprint(p.x, p.y)] = true
			if !weak(key[:]) {
				t.Errorf("%x is accepted", key)
			}
		}
	}
	if len(points) != 8 {
		t.Errorf("%d points of a small order are known, there are 8", len(points))
	}
	for n := range byte(19) { // y of 2^255-19 to 2^255-1: the same as 0 to 18
		for _, last := range []byte{0x7f, 0xff} {
			key := bytes.Repeat([]byte{0xff}, 32)
			key[0], key[31] = 0xed+n, last
			if !weak(key) {
				t.Errorf("%x, a second encoding of %d, is accepted", key, n)
			}
		}
	}
	for _, size := range []int{0, 31, 33} {
		if !weak(make([]byte, size)) {
			t.Errorf("a key of %d bytes is accepted", size)
		}
	}
	for range 2000 {
		key, _, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		if weak(key) {
			t.Errorf("%x is refused", key)
		}
	}
	for n := range byte(30) { // honest keys near the prime
		key := fieldPrime
		key[0] -= 2 + n
		if p := of(key); p != nil && weak(key[:]) {
			t.Errorf("%x is refused", key)
		}
	}
}

// TestParseCert_WeakKeyIsRefused: a certificate with a weak key is rejected, because anyone can sign it: for the
// neutral point, valid signatures need no private key.
func TestParseCert_WeakKeyIsRefused(t *testing.T) {
	neutral := make(ed25519.PublicKey, 32)
	neutral[0] = 1
	_, signer, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, neutral, signer)
	if err != nil {
		t.Fatal(err)
	}
	if _, id, err := ParseCert(der); err == nil {
		t.Errorf("it is %v", id)
	}
}
