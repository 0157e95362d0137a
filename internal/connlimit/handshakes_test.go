package connlimit

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"math/big"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// TestLimitHandshakes_DelaysTheHandshakesOfOneAddress also checks that another address is not affected.
func TestLimitHandshakes_DelaysTheHandshakesOfOneAddress(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	synctest.Test(t, func(t *testing.T) {
		server := LimitHandshakes(&tls.Config{Certificates: []tls.Certificate{certificate}})
		began := time.Now()
		handshake := func(from string) time.Duration {
			t.Helper()
			ours, theirs := net.Pipe()
			defer ours.Close()
			defer theirs.Close()
			failed := make(chan error, 1)
			go func() {
				failed <- tls.Client(theirs, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(t.Context())
			}()
			err := tls.Server(fromAddr{ours, from}, server).HandshakeContext(t.Context())
			_ = ours.Close()
			<-failed
			if err != nil {
				t.Fatal(err)
			}
			return time.Since(began)
		}
		for range handshakeBurst {
			handshake("10.0.0.1:1")
		}
		var took time.Duration
		for range handshakeRate {
			took = handshake("10.0.0.1:1")
		}
		if took < 900*time.Millisecond || took > 1100*time.Millisecond {
			t.Errorf("%d handshakes took %v", handshakeBurst+handshakeRate, took)
		}
		if late := handshake("10.0.0.2:1") - took; late > 0 {
			t.Errorf("another address waited for %v", late)
		}
	})
}
