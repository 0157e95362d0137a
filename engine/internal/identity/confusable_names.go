package identity

import (
	"slices"
	"strings"
	"unicode"

	"github.com/mtibben/confusables"
	"golang.org/x/text/secure/precis"
	"golang.org/x/text/unicode/norm"
)

// maxCompared is how many characters of a decomposed name are compared: one character may decompose into a whole
// sentence.
const maxCompared = 64

// NameKey returns the same key for names that a person would confuse: those that the Nickname profile of PRECIS (RFC
// 8266) compares as equal, and also those that differ only in look-alike letters, in combining marks, in punctuation
// and symbols, or in invisible characters. A name without letters and digits keeps its symbols.
func NameKey(name string) string {
	skeleton := skeletonOf(start(norm.NFKD.String(start(name))))
	letters := strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.N) && r != longVowel {
			return r
		}
		return -1
	}, skeleton)
	if letters != "" {
		skeleton = letters
	}
	return pairsAlike.Replace(skeleton)
}

// longVowel is the letter that the confusables table has for every dash.
const longVowel = 'ー'

// start returns the first maxCompared characters.
func start(s string) string {
	n := 0
	for i := range s {
		if n == maxCompared { // guard: name-length
			return s[:i]
		}
		n++
	}
	return s
}

// skeletonOf replaces the letters of a name by those that they look like.
func skeletonOf(name string) string {
	if k, err := precis.Nickname.CompareKey(name); err == nil {
		name = k
	} else { // it contains characters that the profile forbids
		name = strings.ToLower(norm.NFKC.String(strings.ToValidUTF8(name, "")))
	}
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		switch {
		case unicode.In(r, unicode.M), unicode.IsSpace(r), !unicode.IsGraphic(r), r == 0x3164, r == 0x115F, r == 0x1160, r == 0x2800:
			continue
		}
		b.WriteRune(latin(r))
	}
	// Apply the confusables table of UTS #39 section 4, and then our own table to the result.
	return strings.Map(latin, confusables.Skeleton(b.String()))
}

// keysCached is how many names have their keys cached: a peer's name is compared each time the peer changes.
const keysCached = 4096

// cachedKeysLocked is nameKeys for a name that is compared often.
func (p *Profile) cachedKeysLocked(name string) []string {
	if keys, known := p.keys[name]; known {
		return keys
	}
	if p.keys == nil || len(p.keys) >= keysCached {
		p.keys = map[string][]string{}
	}
	keys := nameKeys(name)
	p.keys[name] = keys
	return keys
}

// maxBeginnings limits the parts of one name that are compared.
const maxBeginnings = 4

// beginnings returns the leading parts of a name that a person may take for the whole name, such as "Anna" in "Anna:
// see you", in "Anna (verified)" and in "Anna - verified".
func beginnings(name string) (parts []string) {
	name = strings.TrimLeftFunc(name, func(r rune) bool { return !unicode.In(r, unicode.L, unicode.N) })
	before := ' '
	for i, r := range name {
		mark := unicode.In(r, unicode.P, unicode.S, unicode.Lm, unicode.Mc) && !strings.ContainsRune("-'’._&+", r)
		spaced := unicode.IsSpace(r) && unicode.In(before, unicode.P, unicode.S)          // "Anna. Call me"
		spaced = spaced || unicode.IsSpace(before) && unicode.In(r, unicode.P, unicode.S) // "Anna - verified"
		if i > 0 && (mark || spaced) && len(parts) < maxBeginnings {
			parts = append(parts, name[:i])
		}
		before = r
	}
	return parts
}

// nameKeys returns the keys of a name: the result of NameKey, and, if it differs, the key of the name with each capital
// replaced by the letter that it looks like. A capital may look like a different letter than its lower-case form: Greek
// Η looks like H, and η like n.
func nameKeys(name string) []string {
	key := NameKey(name)
	if other := NameKey(strings.Map(capital, norm.NFC.String(name))); other != key {
		return []string{key, other}
	}
	return []string{key}
}

// capital returns the ASCII letter that a capital letter from another alphabet looks like, and any other character unchanged.
func capital(r rune) rune {
	switch {
	case r >= 0x1F150 && r <= 0x1F169: // negative circled letters
		return r - 0x1F150 + 'A'
	case r >= 0x1F170 && r <= 0x1F189: // negative squared letters
		return r - 0x1F170 + 'A'
	case r < 0x80 || !unicode.IsUpper(r):
		return r
	}
	if l, ok := capitals[r]; ok {
		return l
	}
	if s := confusables.Skeleton(string(r)); len(s) == 1 {
		return rune(s[0])
	}
	return r
}

// capitals lists the look-alikes that are missing from the table of UTS #39.
var capitals = map[rune]rune{'Ⲩ': 'Y', 'Ⲛ': 'N', 'Ⲕ': 'K', 'Ꮇ': 'M', 'Ϲ': 'C', 'Ⲙ': 'M', 'Ⲏ': 'H', 'Ⲧ': 'T', 'Λ': 'A'}

// latin returns the lower-case Latin letter that a letter in our table looks like, and any other letter in lower case.
func latin(r rune) rune {
	r = unicode.ToLower(r)
	if l, ok := lookAlikes[r]; ok {
		return l
	}
	return r
}

var pairsAlike = strings.NewReplacer("ß", "ss", "rn", "m", "vv", "w", "cl", "d")

// lookAlikes maps letters of other alphabets, small capitals and digits to the Latin letter that they resemble in
// common fonts, in lower case, where the table of UTS #39 does not.
var lookAlikes = map[rune]rune{
	'а': 'a', 'ɑ': 'a', 'α': 'a', 'ь': 'b', 'в': 'b', 'β': 'b', 'с': 'c', 'ϲ': 'c', 'ԁ': 'd', 'ɗ': 'd', 'е': 'e', 'ё': 'e', 'є': 'e', 'ε': 'e',
	'ɡ': 'g', 'һ': 'h', 'н': 'h', 'η': 'n', 'і': 'l', 'ї': 'l', 'ι': 'l', 'ı': 'l', 'i': 'l', '1': 'l', '|': 'l', 'ӏ': 'l', 'ǀ': 'l', 'ј': 'j', 'к': 'k', 'κ': 'k',
	'м': 'm', 'μ': 'u', 'ո': 'n', 'о': 'o', 'ο': 'o', 'օ': 'o', '0': 'o', 'σ': 'o', 'р': 'p', 'ρ': 'p', 'ԛ': 'q', 'г': 'r', 'ѕ': 's', '5': 's', 'т': 't', 'τ': 't',
	'υ': 'u', 'ս': 'u', 'ν': 'v', 'ѵ': 'v', 'ԝ': 'w', 'ω': 'w', 'х': 'x', 'χ': 'x', 'у': 'y', 'γ': 'y', 'ү': 'y', 'ζ': 'z', '3': 'e', '8': 'b',
	'п': 'n', 'π': 'n', 'ⲁ': 'a', 'ⲟ': 'o', 'ⲣ': 'p', 'ⲥ': 'c', 'ⲉ': 'e', 'ᴀ': 'a', 'ʙ': 'b', 'ᴄ': 'c', 'ᴅ': 'd', 'ᴇ': 'e', 'ꜰ': 'f', 'ɢ': 'g', 'ʜ': 'h', 'ɪ': 'l',
	'ʌ': 'a', '∆': 'a', '4': 'a', '@': 'a', 'и': 'n', 'ᴊ': 'j', 'ᴋ': 'k', 'ʟ': 'l', 'ᴍ': 'm', 'ɴ': 'n', 'ᴏ': 'o', 'ᴘ': 'p', 'ʀ': 'r', 'ꜱ': 's', 'ᴛ': 't', 'ᴜ': 'u', 'ᴠ': 'v', 'ᴡ': 'w', 'ʏ': 'y', 'ᴢ': 'z', 'ꞯ': 'q',
}

// rank orders trust levels by how well they protect a name.
func rank(t Trust) int {
	switch t {
	case Verified:
		return 2
	case Seen:
		return 1
	}
	return 0
}

// Impersonated returns another known peer whose name a person would take for this one, or zero. A name belongs to the
// peer that it is stored for: a peer that gives itself the stored name of another one is reported, even if it is
// trusted itself. If the same name is stored for two peers, the less trusted one is reported.
func (p *Profile) Impersonated(id PeerID, name string) PeerID {
	p.mu.Lock()
	defer p.mu.Unlock()
	mine := rank(p.peers[id].Trust)
	if name == "" || len(p.peers) == 0 {
		return PeerID{}
	}
	keys := p.cachedKeysLocked(name)
	own := mine > 0 && keys[0] == p.cachedKeysLocked(p.peers[id].Name)[0]
	if mine == 2 && own {
		return PeerID{}
	}
	if p.names == nil {
		p.names = map[string][]PeerID{}
		for id, r := range p.peers {
			if rank(r.Trust) > 0 && r.Name != "" {
				for _, k := range nameKeys(r.Name) {
					p.names[k] = append(p.names[k], id)
				}
			}
		}
	}
	var found PeerID
	if !own {
		for _, part := range beginnings(start(name)) {
			keys = append(keys[:len(keys):len(keys)], p.cachedKeysLocked(part)...)
		}
	}
	for _, key := range keys {
		for _, other := range p.names[key] {
			r := rank(p.peers[other].Trust)
			taken := r > mine || r > 0 && !own
			if other != id && taken && (found.IsZero() || r > rank(p.peers[found].Trust)) {
				found = other
			}
		}
	}
	return found
}

// SameLook reports whether two names are equal or look alike.
func SameLook(a, b string) bool {
	keys := nameKeys(a)
	return slices.ContainsFunc(nameKeys(b), func(k string) bool { return slices.Contains(keys, k) })
}
