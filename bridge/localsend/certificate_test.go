package localsend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
)

// TestTLS_RejectsKeysThatCostTime checks that no handshake continues with an RSA key whose signatures take milliseconds
// to check, on either side.
func TestTLS_RejectsKeysThatCostTime(t *testing.T) {
	g, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	rsaKey := func(bits uint, exponent int) *rsa.PublicKey {
		return &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), int(bits)-1, 1), E: exponent}
	}
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		key any
		ok  bool
	}{
		"as LocalSend creates it":       {rsaKey(2048, 65537), true},
		"4096 bits":                     {rsaKey(4096, 65537), true},
		"4097 bits":                     {rsaKey(4097, 65537), false},
		"8192 bits":                     {rsaKey(8192, 65537), false},
		"a large exponent":              {rsaKey(2048, 1<<31-1), false},
		"8192 bits, a large exponent":   {rsaKey(8192, 1<<31-1), false},
		"a small exponent":              {rsaKey(2048, 3), false},
		"elliptic, as Multipeer has it": {&ec.PublicKey, true},
	} {
		state := tls.ConnectionState{PeerCertificates: []*x509.Certificate{{PublicKey: c.key}}}
		for side, config := range map[string]*tls.Config{"server": g.serverTLS(), "client": g.clientTLS("")} {
			if err := config.VerifyConnection(state); (err == nil) != c.ok {
				t.Errorf("%s, %s: %v", name, side, err)
			}
		}
	}
	if err := g.serverTLS().VerifyConnection(tls.ConnectionState{}); err != nil {
		t.Errorf("an app without a certificate: %v", err)
	}
}

// TestSource_IsCheckedOncePerConnection checks that further requests of a connection cost no signature.
func TestSource_IsCheckedOncePerConnection(t *testing.T) {
	text, err := newCertificate()
	if err != nil {
		t.Fatal(err)
	}
	pair, err := tls.X509KeyPair(text, text)
	if err != nil {
		t.Fatal(err)
	}
	certificate := *pair.Leaf
	ctx := connContext(t.Context(), nil)
	request := func() *http.Request {
		r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/", nil)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{&certificate}}
		return r
	}
	first := sourceOf(request())
	if first.fingerprint != fingerprintOf(certificate.Raw) {
		t.Fatalf("the first request has the fingerprint %q", first.fingerprint)
	}
	certificate.Signature = []byte("a signature that is checked again would fail")
	if again := sourceOf(request()); again != first {
		t.Errorf("the certificate was checked again: %q", again.fingerprint)
	}
	ctx = connContext(t.Context(), nil)
	if other := sourceOf(request()); other.fingerprint != "" {
		t.Error("a bad signature on another connection is accepted")
	}
}
