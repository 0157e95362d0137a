//go:build linux

package hostile

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"
)

// pairing runs the protocol up to the reveal directly, while the victim's user opens the pairing window and chooses the
// attacker. If other is given, it reveals that nonce instead of the one it has committed to; otherwise a.code is set to
// the code.
func (a *attacker) pairing(other []byte) (id string, err error) {
	if _, err := a.v.ask("pair"); err != nil {
		return "", err
	}
	if err := a.connect(); err != nil {
		return "", err
	}
	leaf, err := x509.ParseCertificate(a.cert.Certificate[0])
	if err != nil {
		return "", err
	}
	me := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	state := a.conn.ConnectionState().TLS
	binding, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, 32)
	if err != nil {
		return "", err
	}
	nonce := random(32)
	h := hmac.New(sha256.New, nonce)
	for _, b := range [][]byte{[]byte("commit"), []byte("pair/1"), me[:], a.v.id[:], binding} {
		h.Write(b)
	}
	id = hexID()
	if err := a.say(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, id, hex.EncodeToString(h.Sum(nil)))); err != nil {
		return "", err
	}
	time.Sleep(200 * time.Millisecond)
	if _, err := a.v.ask("pick"); err != nil {
		return "", err
	}
	m, err := a.hear("pair_nonce")
	if err != nil {
		return "", err
	}
	text, _ := m["nonce"].(string)
	theirs, err := hex.DecodeString(text)
	if err != nil {
		return "", err
	}
	code, err := hkdf.Key(sha256.New, binding, append(append([]byte{}, nonce...), theirs...), "sas"+string(me[:])+string(a.v.id[:]), 8)
	if err != nil {
		return "", err
	}
	a.code = fmt.Sprintf("%06d", binary.BigEndian.Uint64(code)%1_000_000)
	if other != nil {
		nonce = other
	}
	if err := a.say(fmt.Sprintf(`{"type":"pair_reveal","id":%q,"nonce":%q}`, id, hex.EncodeToString(nonce))); err != nil {
		return "", err
	}
	time.Sleep(200 * time.Millisecond)
	return id, nil
}

// pairAndWithdraw requests a pairing and withdraws the request, 60 times.
func (a *attacker) pairAndWithdraw() error {
	if _, err := a.v.ask("pair"); err != nil {
		return err
	}
	err := a.prompts(2*22, func() error { // each is reported when it starts and when it ends
		if err := a.greet(); err != nil {
			return err
		}
		for range 60 {
			id := hexID()
			if err := a.say(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, id, hexID()+hexID()), fmt.Sprintf(`{"type":"pair_cancel","id":%q}`, id)); err != nil {
				return err
			}
		}
		return a.alive()
	})
	_, closeErr := a.v.ask("close")
	return errors.Join(err, closeErr)
}
