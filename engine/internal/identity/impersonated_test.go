package identity

import (
	"strings"
	"testing"
)

// TestImpersonated_AmongVerified: a verified peer that takes the name of another verified peer is flagged.
func TestImpersonated_AmongVerified(t *testing.T) {
	anna, ben, eva, fay := PeerID{1}, PeerID{2}, PeerID{3}, PeerID{4}
	p := &Profile{peers: map[PeerID]Record{
		anna: {Trust: Verified, Name: "Anna"}, ben: {Trust: Verified, Name: "Ben"}, eva: {Trust: Seen, Name: "Eva"}, fay: {Trust: Seen, Name: "Fay"},
	}}
	for _, c := range []struct {
		who  PeerID
		name string
		want PeerID
	}{
		{anna, "Anna", PeerID{}}, {ben, "Ben", PeerID{}}, {ben, "Αnna", anna}, {ben, "Eva", eva}, {fay, "Eva", eva}, {eva, "Eva", PeerID{}}, {fay, "Anna", anna}, {eva, "ꓐen", ben}, {PeerID{9}, "Eva", eva}, {PeerID{9}, "Dora", PeerID{}},
	} {
		if got := p.Impersonated(c.who, c.name); got != c.want {
			t.Errorf("%v as %q: %v, want %v", c.who[0], c.name, got[0], c.want[0])
		}
	}
}

// TestImpersonated_ByCapitals checks capitals that look like a different letter than their lower-case form.
func TestImpersonated_ByCapitals(t *testing.T) {
	for name, fakes := range map[string][]string{
		"Hans": {"Ηans", "ΗΑΝS", "Hаns", "HANS"}, "Nils": {"Νils", "Ⲛils"}, "Nora": {"Νora"}, "Yve": {"Υve", "Ⲩve"}, "Cora": {"Ϲora"}, "Max": {"Ꮇax"},
		"Kim": {"Ⲕim"}, "Maria": {"ΜΑRΙΑ"}, "Anna": {"🅐nna", "🅰nna"}, "Νίκη": {"ΝΙΚΗ", "νικη"}, "Ηλίας": {"ηλιας"},
	} {
		for _, fake := range fakes {
			p := &Profile{peers: map[PeerID]Record{{1}: {Trust: Verified, Name: name}}}
			if p.Impersonated(PeerID{2}, fake).IsZero() {
				t.Errorf("%q does not look like %q: %q, %q", fake, name, nameKeys(fake), nameKeys(name))
			}
		}
	}
}

// TestImpersonated_ByWhatFollows: a name that begins with a known name looks like that name followed by text, a
// punctuation mark or an ID.
func TestImpersonated_ByWhatFollows(t *testing.T) {
	p := &Profile{peers: map[PeerID]Record{{1}: {Trust: Verified, Name: "Anna"}, {3}: {Trust: Seen, Name: "Tom: office"}}}
	for name, flagged := range map[string]bool{
		"Anna: see you": true, "Anna, verified": true, "Аnnа (zkd3utoa)": true, "Anna ✓ verified": true, "Anna | Mac": true,
		"Anna - verified": true, "Anna. Call me": true, "Annaː see you": true, "🌸🌸🌸🌸🌸Anna (verified)": true, "<<<<<Anna> hi": true,
		"Anna Smith": false, "Annabel": false, "Anna's iPhone": false, "Tom & Anna": false, ": Anna": true, "Ben: Anna": false,
	} {
		if got := !p.Impersonated(PeerID{2}, name).IsZero(); got != flagged {
			t.Errorf("%q: flagged %v", name, got)
		}
	}
	if !p.Impersonated(PeerID{3}, "Tom: office").IsZero() {
		t.Error("a peer is flagged under its own name")
	}
}

// TestNameKey_CostIsBounded: one character that decomposes into a sentence does not cost more than other names.
func TestNameKey_CostIsBounded(t *testing.T) {
	costly := strings.Repeat("\ufdfa", 40)
	if n := len([]rune(NameKey(costly))); n > 2*maxCompared {
		t.Errorf("the key has %d characters", n)
	}
	if NameKey(costly) != NameKey(costly+"x") {
		t.Error("more than the start is compared")
	}
}
