package identity

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"os"
	"regexp"
	"testing"
)

func fill(b byte) (p PeerID) {
	copy(p[:], bytes.Repeat([]byte{b}, len(p)))
	return p
}

func nonce(b byte) []byte { return bytes.Repeat([]byte{b}, NonceSize) }

// TestPairing_MatchesTheVectorsOfTheProtocol compares the computation with the values in PROTOCOL.md.
func TestPairing_MatchesTheVectorsOfTheProtocol(t *testing.T) {
	doc, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile("(?s)```pairing\n(.*?)```").FindSubmatch(doc)
	if block == nil {
		t.Fatal("PROTOCOL.md has no example of a pairing")
	}
	want := map[string]string{}
	for _, m := range regexp.MustCompile(`(?m)^(\w+)\s+(\S+)$`).FindAllSubmatch(block[1], -1) {
		want[string(m[1])] = string(m[2])
	}
	p := Pairing{fill(1), fill(2), nonce(3)}
	nI, nR := nonce(4), nonce(5)
	code := p.Code(nI, nR)
	secret := bytes.Repeat([]byte{6}, SecretSize)
	for name, got := range map[string]string{
		"commit": hex.EncodeToString(p.Commit(nI)), "code": code,
		"confirm_I": hex.EncodeToString(p.Confirm(nI, nR, Initiator, code)),
		"confirm_R": hex.EncodeToString(p.Confirm(nI, nR, Responder, code)),
		"link_I":    hex.EncodeToString(p.LinkProof(secret, Initiator)),
		"link_R":    hex.EncodeToString(p.LinkProof(secret, Responder)),
	} {
		if want[name] != got {
			t.Errorf("%s is %s, PROTOCOL.md has %s", name, got, want[name])
		}
	}
}

// TestPairing_BindsEveryInput: a difference in the keys, the connection, a nonce or the role changes the code and the
// proofs, and a nonce of another length opens no commitment.
func TestPairing_BindsEveryInput(t *testing.T) {
	p := Pairing{fill(1), fill(2), nonce(3)}
	nI, nR := nonce(4), nonce(5)
	for name, q := range map[string]Pairing{
		"keys swapped": {fill(2), fill(1), nonce(3)}, "another initiator": {fill(9), fill(2), nonce(3)},
		"another responder": {fill(1), fill(9), nonce(3)}, "another conn": {fill(1), fill(2), nonce(9)},
	} {
		if q.Opens(p.Commit(nI), nI) {
			t.Errorf("%s: the commitment opens", name)
		}
		if q.Code(nI, nR) == p.Code(nI, nR) {
			t.Errorf("%s: the same code", name)
		}
		if q.LinkProves(p.LinkProof(nI[:SecretSize], Initiator), nI[:SecretSize], Initiator) {
			t.Errorf("%s: the link's proof holds", name)
		}
	}
	long := append(bytes.Clone(nI), 0)
	if !bytes.Equal(p.Commit(long), p.Commit(nI)) {
		t.Fatal("HMAC does not pad its keys; the length check guards nothing")
	}
	if p.Opens(p.Commit(nI), long) {
		t.Error("a nonce of 33 bytes opens the commitment")
	}
	code := p.Code(nI, nR)
	if p.Confirms(p.Confirm(nI, nR, Initiator, code), nI, nR, Responder, code) {
		t.Error("one side's yes counts as the other's")
	}
	if p.LinkProves(p.LinkProof(nI[:SecretSize], Initiator), nI[:SecretSize], Responder) {
		t.Error("one side's proof counts as the other's")
	}
}

// TestPairing_ManInTheMiddleGetsEqualCodesOnlyByChance counts how often a man in the middle gets both devices to show
// the same code, out of 1,000 possible ones: no more often than by chance, however it chooses its nonces.
func TestPairing_ManInTheMiddleGetsEqualCodesOnlyByChance(t *testing.T) {
	const attempts, space = 10_000, 1000
	dice := rand.New(rand.NewPCG(7, 11))
	random := func() []byte {
		b := make([]byte, NonceSize)
		for i := range b {
			b[i] = byte(dice.Uint32())
		}
		return b
	}
	anna, ben, eve := fill(1), fill(2), fill(3)
	hits := 0
	for range attempts {
		left := Pairing{anna, eve, random()} // Anna thinks that Eve is Ben
		right := Pairing{eve, ben, random()} // Ben thinks that Eve is Anna
		nA, nB := random(), random()
		commitment := left.Commit(nA)
		// Eve has to send Ben her commitment, and Anna her answer, before she sees either nonce.
		eveToBen, eveToAnna := random(), random()
		committed := right.Commit(eveToBen)
		if !left.Opens(commitment, nA) || !right.Opens(committed, eveToBen) {
			t.Fatal("an honest opening is refused")
		}
		for range 20 { // now she knows everything, and looks for another nonce that opens her commitment
			if other := random(); right.Opens(committed, other) {
				t.Fatal("a commitment was opened with another nonce")
			}
		}
		if left.CodeOf(nA, eveToAnna, space) == right.CodeOf(eveToBen, nB, space) {
			hits++
		}
	}
	mean := float64(attempts) / space
	sigma := math.Sqrt(mean * (1 - 1.0/space))
	t.Logf("%d of %d attempts hit, %.0f are expected, sigma %.1f", hits, attempts, mean, sigma)
	if math.Abs(float64(hits)-mean) > 6*sigma { // by chance once in a hundred million runs
		t.Errorf("%d hits, expected %.0f ± %.1f", hits, mean, 6*sigma)
	}
}
