package identity

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
)

func TestPeerID_TextForm(t *testing.T) {
	doc, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?m)^```id\n([0-9a-f]{64})\n(\\S+)\n").FindSubmatch(doc)
	if m == nil {
		t.Fatal("PROTOCOL.md has no example of an ID")
	}
	var id PeerID
	_, _ = hex.Decode(id[:], m[1])
	if id.String() != string(m[2]) {
		t.Errorf("%x is %s, PROTOCOL.md has %s", m[1], id, m[2])
	}
	for _, same := range []string{id.String(), strings.ToUpper(id.String()), strings.ReplaceAll(id.String(), "-", " "), " " + strings.ReplaceAll(id.String(), "-", "") + "\n"} {
		if back, err := ParsePeerID(same); err != nil || back != id {
			t.Errorf("%q: %v, %v", same, back, err)
		}
	}
	text := strings.ReplaceAll(id.String(), "-", "")
	for i := range text { // every single wrong character is detected
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
			wrong := text[:i] + string(c) + text[i+1:]
			if _, err := ParsePeerID(wrong); wrong != text && !errors.Is(err, ErrPeerID) && i < idChars-1 {
				// the 10 check bits miss one error in 1024, by chance
				t.Logf("%q passes the check characters", wrong)
			}
		}
	}
	for _, bad := range []string{"", text[1:], text + "a", strings.Repeat("1", 54), text[:52] + "zz"} {
		if _, err := ParsePeerID(bad); !errors.Is(err, ErrPeerID) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if !id.HasPrefix("AEAQ-caiba") || id.HasPrefix("baaa") || id.HasPrefix("aea") || id.HasPrefix("a-e-a-") || id.HasPrefix("") {
		t.Error("HasPrefix")
	}
}

func open(t *testing.T, dir string) *Profile {
	t.Helper()
	p, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func TestProfile_KeepsIdentityNameAndPeers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "profile")
	p := open(t, dir)
	id := p.ID
	other, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Update(other.ID, func(r *Record) { *r = Record{Trust: Verified, Name: "Anna", Last: time.Unix(1e9, 0).UTC()} }); err != nil {
		t.Fatal(err)
	}
	if err := p.SetName("Kitchen"); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS != "windows" {
		for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, keyFile): 0o600} {
			if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
				t.Errorf("%s: %v, %v", path, info.Mode(), err)
			}
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, certFile)); err != nil { // it is issued again: the ID depends only on the key
		t.Fatal(err)
	}
	p = open(t, dir)
	if p.ID != id || p.Name() != "Kitchen" || p.Peer(other.ID).Trust != Verified || p.Peer(other.ID).Name != "Anna" {
		t.Errorf("came back as %v, %q, %+v", p.ID, p.Name(), p.Peer(other.ID))
	}
	if err := p.Update(other.ID, func(r *Record) { *r = Record{} }); err != nil || len(p.Peers()) != 0 {
		t.Errorf("not forgotten: %v", err)
	}
}

func TestProfile_OneProcessAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "p")
	open(t, dir)
	if _, err := Open(t.Context(), dir); !errors.Is(err, ErrInUse) {
		t.Errorf("opened twice: %v", err)
	}
}

// TestProfile_BadKeyIsRefusedAndKept: a key is never replaced, whatever is wrong with it.
func TestProfile_BadKeyIsRefusedAndKept(t *testing.T) {
	key := func(dir string) string { return filepath.Join(dir, keyFile) }
	cases := map[string]struct {
		harm func(dir string) error
		want error
	}{
		"empty":    {func(d string) error { return os.WriteFile(key(d), nil, 0o600) }, ErrCorrupt},
		"garbage":  {func(d string) error { return os.WriteFile(key(d), []byte("garbage"), 0o600) }, ErrCorrupt},
		"cut":      {func(d string) error { return os.Truncate(key(d), 60) }, ErrCorrupt},
		"bad DER":  {func(d string) error { return os.WriteFile(key(d), pemOf("PRIVATE KEY", []byte("x")), 0o600) }, ErrCorrupt},
		"other":    {writeECDSA, ErrCorrupt},
		"gone":     {func(d string) error { return os.Remove(key(d)) }, ErrCorrupt},
		"readable": {func(d string) error { return os.Chmod(key(d), 0o640) }, ErrPermissions},
		"folder":   {func(d string) error { return os.Chmod(d, 0o755) }, ErrPermissions},
		"link": {func(d string) error {
			if err := os.Rename(key(d), key(d)+"2"); err != nil {
				return err
			}
			return os.Symlink(key(d)+"2", key(d))
		}, ErrCorrupt},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if runtime.GOOS == "windows" && c.want == ErrPermissions {
				t.Skip("permissions are an access list there")
			}
			dir := filepath.Join(t.TempDir(), "p")
			p := open(t, dir)
			_ = p.Close()
			if err := c.harm(dir); err != nil {
				t.Fatal(err)
			}
			before, beforeErr := os.ReadFile(key(dir))
			if _, err := Open(t.Context(), dir); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			after, afterErr := os.ReadFile(key(dir))
			if string(before) != string(after) || (beforeErr == nil) != (afterErr == nil) {
				t.Error("the key file was touched")
			}
			if _, err := Open(t.Context(), dir); errors.Is(err, ErrInUse) {
				t.Error("a refused profile stays locked")
			}
		})
	}
}

// TestProfile_OfAnotherUserIsRefused covers root, who can open a profile that another user has prepared, with that user's
// decisions about peers.
func TestProfile_OfAnotherUserIsRefused(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can open what belongs to others")
	}
	for _, what := range []string{".", keyFile} {
		dir := filepath.Join(t.TempDir(), "p")
		p := open(t, dir)
		_ = p.Close()
		if err := os.Chown(filepath.Join(dir, what), 65534, 65534); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), dir); !errors.Is(err, ErrPermissions) || !strings.Contains(err.Error(), "another user") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func writeECDSA(dir string) error {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(k)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, keyFile), pemOf("PRIVATE KEY", der), 0o600)
}

// TestParseCert_DatesDoNotCount: a device whose clock is wrong, or whose certificate has expired, is still that device.
func TestParseCert_DatesDoNotCount(t *testing.T) {
	public, own, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for what, dates := range map[string][2]int{"expired": {1990, 1991}, "not valid yet": {2199, 2200}} {
		c := &x509.Certificate{
			SerialNumber: big.NewInt(1), NotBefore: time.Date(dates[0], 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(dates[1], 1, 1, 0, 0, 0, 0, time.UTC),
		}
		der, err := x509.CreateCertificate(rand.Reader, c, c, public, own)
		if err != nil {
			t.Fatal(err)
		}
		leaf, id, err := ParseCert(der)
		if err != nil || id != IDOf(leaf) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestParseCert_OnlySmallEd25519(t *testing.T) {
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, k.Public(), k)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ParseCert(der); err == nil {
		t.Error("an ECDSA certificate was accepted")
	}
	_, own, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.DNSNames = []string{strings.Repeat("a", maxCert)} // otherwise valid
	if der, err = x509.CreateCertificate(rand.Reader, c, c, own.Public(), own); err != nil {
		t.Fatal(err)
	}
	if _, _, err := ParseCert(der); err == nil {
		t.Error("a large certificate was accepted")
	}
	id, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if len(id.Cert.Leaf.Subject.Names)+len(id.Cert.Leaf.DNSNames) != 0 {
		t.Error("the certificate contains a name")
	}
}

func FuzzParsePeerID(f *testing.F) {
	id, _ := New()
	f.Add(id.ID.String())
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParsePeerID(s); err == nil && normalise(id.String()) != normalise(s) {
			t.Errorf("%q is %v", s, id)
		}
	})
}
