package identity

import (
	"strings"
	"unicode"

	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// NameKey gives names the same key that a person takes for the same: those that the Nickname profile of PRECIS (RFC
// 8266) compares as equal, and beyond it those that differ by letters that look alike, by marks, or by characters that
// leave none.
func NameKey(name string) string {
	if k, err := precis.Nickname.CompareKey(name); err == nil {
		name = k
	} else { // it holds what the profile forbids
		name = strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(name, "")))
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.In(r, unicode.M), unicode.IsSpace(r), !unicode.IsGraphic(r), r == 0x3164, r == 0x115F, r == 0x1160, r == 0x2800:
			continue
		case r == '-', r == '_', r == '.', r == '\'', r == '’', r == '·':
			continue
		}
		r = unicode.ToLower(r)
		if l, ok := lookAlikes[r]; ok {
			r = l
		}
		b.WriteRune(r)
	}
	return pairsAlike.Replace(b.String())
}

var pairsAlike = strings.NewReplacer("ß", "ss", "rn", "m", "vv", "w", "cl", "d")

// lookAlikes maps letters of other alphabets, and digits, to the Latin letter that they look like in common fonts. It is
// a small part of the table of UTS #39 section 4: what is typed to deceive, in lower case.
var lookAlikes = map[rune]rune{
	'а': 'a', 'ɑ': 'a', 'α': 'a', 'ь': 'b', 'в': 'b', 'β': 'b', 'с': 'c', 'ϲ': 'c', 'ԁ': 'd', 'ɗ': 'd', 'е': 'e', 'ё': 'e', 'є': 'e', 'ε': 'e',
	'ɡ': 'g', 'һ': 'h', 'н': 'h', 'η': 'n', 'і': 'l', 'ї': 'l', 'ι': 'l', 'ı': 'l', 'i': 'l', '1': 'l', '|': 'l', 'ӏ': 'l', 'ǀ': 'l', 'ј': 'j', 'к': 'k', 'κ': 'k',
	'м': 'm', 'μ': 'u', 'ո': 'n', 'о': 'o', 'ο': 'o', 'օ': 'o', '0': 'o', 'σ': 'o', 'р': 'p', 'ρ': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', '5': 's', 'т': 't', 'τ': 't',
	'υ': 'u', 'ս': 'u', 'ν': 'v', 'ѵ': 'v', 'ԝ': 'w', 'ω': 'w', 'х': 'x', 'χ': 'x', 'у': 'y', 'γ': 'y', 'ү': 'y', 'ζ': 'z', '3': 'e', '8': 'b',
}

// rank orders what a name of a peer is worth.
func rank(t Trust) int {
	switch t {
	case Verified:
		return 2
	case Seen:
		return 1
	}
	return 0
}

// Impersonated finds a peer that is better known than id and whose name a person would take for this one; zero if there
// is none.
func (p *Profile) Impersonated(id PeerID, name string) PeerID {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := rank(p.peers[id].Trust)
	if mine == 2 || name == "" || len(p.peers) == 0 {
		return PeerID{}
	}
	if p.names == nil {
		p.names = map[string][]PeerID{}
		for id, r := range p.peers {
			if rank(r.Trust) > 0 && r.Name != "" {
				k := NameKey(r.Name)
				p.names[k] = append(p.names[k], id)
			}
		}
	}
	var found PeerID
	for _, other := range p.names[NameKey(name)] {
		if r := rank(p.peers[other].Trust); other != id && r > mine && (found.IsZero() || r > rank(p.peers[found].Trust)) {
			found = other
		}
	}
	return found
}
