package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"

	"multipeer/internal/privatefile"
)

// Errors that keep an engine from starting; each error's text says what to do.
var (
	ErrCorrupt     = errors.New("the profile is unreadable")
	ErrPermissions = errors.New("other users can access the profile")
	ErrInUse       = errors.New("the profile is in use")
)

// Identity is a key with its certificate.
type Identity struct {
	ID   PeerID
	Cert tls.Certificate // with Leaf set
}

const (
	keyFile  = "identity.key"
	certFile = "identity.crt"
)

// maxCert is the largest certificate accepted, from disk or from a peer, in bytes of DER.
const maxCert = 2 << 10

// New creates an identity in memory only.
func New() (*Identity, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := issue(key)
	if err != nil {
		return nil, err
	}
	return assemble(key, der)
}

// issue creates the self-signed certificate: without names and hosts, and with a validity period so long that a wrong
// clock does not matter.
func issue(key ed25519.PrivateKey) ([]byte, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	t := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)),
		NotBefore:    time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC),
		NotAfter:     time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	return x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
}

func assemble(key ed25519.PrivateKey, der []byte) (*Identity, error) {
	leaf, id, err := ParseCert(der)
	if err != nil {
		return nil, err
	}
	if !leaf.PublicKey.(ed25519.PublicKey).Equal(key.Public()) {
		return nil, errors.New("certificate and key do not match")
	}
	return &Identity{ID: id, Cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: crypto.Signer(key), Leaf: leaf}}, nil
}

// ParseCert accepts what a peer may present: one certificate of at most 2 KiB with an Ed25519 key in canonical
// encoding and not of small order.
func ParseCert(der []byte) (*x509.Certificate, PeerID, error) {
	if len(der) > maxCert { // guard: certificate-size
		return nil, PeerID{}, fmt.Errorf("certificate is %d bytes; the limit is %d", len(der), maxCert)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, PeerID{}, fmt.Errorf("parsing certificate: %w", err)
	}
	key, ok := c.PublicKey.(ed25519.PublicKey)
	if !ok || weak(key) { // guard: weak-key
		return nil, PeerID{}, fmt.Errorf("certificate has a %v key, want a strong Ed25519 key", c.PublicKeyAlgorithm)
	}
	return c, IDOf(c), nil
}

// load reads the identity in dir, or creates it on the first start. It never replaces a key: a key that cannot be
// read, or that others can read, is an error that says what to do.
func load(dir string, mayCreate bool) (*Identity, error) {
	keyPath, certPath := filepath.Join(dir, keyFile), filepath.Join(dir, certFile)
	key, err := readKey(keyPath)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !mayCreate:
		return nil, fmt.Errorf("%w: %s is gone, but other peers identify this profile by that key; restore the file, or start as a new device with an empty profile folder", ErrCorrupt, keyPath)
	case errors.Is(err, fs.ErrNotExist):
		_, key, err = ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		if err := writeNew(keyPath, pemOf("PRIVATE KEY", der)); err != nil {
			return nil, fmt.Errorf("writing identity: %w", err)
		}
	case err != nil:
		return nil, err
	}
	if raw, err := os.ReadFile(certPath); err == nil {
		if b, _ := pem.Decode(raw); b != nil {
			if id, err := assemble(key, b.Bytes); err == nil {
				return id, nil
			}
		}
	}
	// The ID is derived from the key, so a missing or stale certificate is simply issued again.
	der, err := issue(key)
	if err != nil {
		return nil, err
	}
	if err := replace(certPath, pemOf("CERTIFICATE", der)); err != nil {
		return nil, fmt.Errorf("writing certificate: %w", err)
	}
	return assemble(key, der)
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func readKey(path string) (ed25519.PrivateKey, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%w: %s is not a regular file", ErrCorrupt, path)
	}
	if err := privatefile.Check(path, info); err != nil {
		return nil, fmt.Errorf("%w: %w; remove the profile if someone may have copied the key", ErrPermissions, err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading identity: %w", err)
	}
	b, _ := pem.Decode(raw)
	if b == nil || b.Type != "PRIVATE KEY" {
		return nil, fmt.Errorf("%w: %s is not a PEM private key; restore it from a backup, or remove it and %s to start with a new identity", ErrCorrupt, path, stateFile)
	}
	k, err := x509.ParsePKCS8PrivateKey(b.Bytes)
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %v; restore it from a backup, or remove it and %s to start with a new identity", ErrCorrupt, path, err, stateFile)
	}
	key, ok := k.(ed25519.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("%w: %s contains a %T instead of an Ed25519 key; restore it from a backup", ErrCorrupt, path, k)
	}
	return key, nil
}
