package localsend

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"multipeer/internal/connlimit"
)

// keyFile holds the private key and the certificate. Phones that have accepted this device recognize it by its
// certificate.
const keyFile = "localsend.pem"

// fingerprintOf is SHA-256 of a certificate in DER, in upper-case hexadecimal digits, as LocalSend shows it.
func fingerprintOf(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ToUpper(hex.EncodeToString(sum[:]))
}

// VerificationText is the text that both devices show for comparing their keys, the same as in LocalSend.
func VerificationText(a, b string) string { return min(a, b) + max(a, b) }

// loadCertificate reads the key from a folder, or creates one there. An empty folder name means a key that is not
// stored.
func loadCertificate(dir string) (tls.Certificate, error) {
	if dir == "" {
		text, err := newCertificate()
		if err != nil {
			return tls.Certificate{}, err
		}
		return tls.X509KeyPair(text, text)
	}
	path := filepath.Join(dir, keyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		if text, err = newCertificate(); err == nil {
			err = writeFile(path, text)
		}
	}
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("reading or creating the LocalSend key: %w", err)
	}
	certificate, err := tls.X509KeyPair(text, text)
	if err != nil {
		return certificate, fmt.Errorf("the LocalSend key in %s is damaged: %w; delete the file to create a new key, which phones will have to accept again", path, err)
	}
	return certificate, nil
}

// writeFile writes a file of the profile atomically.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*") // of mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// newCertificate creates a key and a self-signed certificate. Its validity period is long because phones may have wrong
// clocks.
func newCertificate() ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Multipeer"},
		NotBefore: time.Date(1975, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2999, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})
	return append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...), nil
}

// serverTLS requests a client certificate but does not require one: apps before 1.16 have none. Like LocalSend, it does
// not offer HTTP/2.
func (g *Gateway) serverTLS() *tls.Config {
	return connlimit.LimitHandshakes(&tls.Config{
		Certificates: []tls.Certificate{g.certificate}, ClientAuth: tls.RequestClientCert, NextProtos: []string{"http/1.1"},
		MinVersion: tls.VersionTLS12, VerifyConnection: checkKeySize,
	})
}

// maxRSABits is the size of the largest RSA key that a device may have. LocalSend creates keys of 2048 bits.
const maxRSABits = 4096

// rsaExponent is the public exponent of every RSA key in use (RFC 8017 allows others).
const rsaExponent = 65537

// checkKeySize rejects a key with which a signature costs much more time to check than to send. crypto/tls calls it
// before it checks the signature of the handshake.
func checkKeySize(state tls.ConnectionState) error {
	for _, c := range state.PeerCertificates[:min(1, len(state.PeerCertificates))] {
		if key, ok := c.PublicKey.(*rsa.PublicKey); ok && (key.N.BitLen() > maxRSABits || key.E != rsaExponent) { // guard: localsend-key-size
			return fmt.Errorf("an RSA key of %d bits with the exponent %d is not accepted", key.N.BitLen(), key.E)
		}
	}
	return nil
}

// errOtherKey reports a device whose key is not the expected one.
var errOtherKey = errors.New("the key of the device has changed")

// clientTLS presents this device's certificate, and requires the server's certificate to have the given fingerprint; an
// empty fingerprint accepts any.
func (g *Gateway) clientTLS(fingerprint string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true, //nolint:gosec // self-signed on both sides: the fingerprint counts
		NextProtos:         []string{"http/1.1"},
		MinVersion:         tls.VersionTLS12,
		// The Certificates field would send none, because LocalSend names itself as the only issuer that it accepts.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &g.certificate, nil },
		VerifyConnection: func(state tls.ConnectionState) error {
			if fingerprint != "" && fingerprintOf(state.PeerCertificates[0].Raw) != fingerprint { // guard: localsend-pin
				return errOtherKey
			}
			return checkKeySize(state)
		},
	}
}
