package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of a JSON value from a peer.
const (
	maxDepth  = 32
	maxTokens = 200_000
)

// ErrMalformed reports that a peer sent JSON that this protocol does not allow.
var ErrMalformed = errors.New("malformed JSON")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// Check rejects what encoding/json would silently repair or reinterpret: invalid UTF-8, lone surrogates, numbers that
// no double can hold, duplicate keys (even if they differ only in case, because Go matches keys case-insensitively),
// text after the value, and values nested deeper than 32 levels or longer than 200,000 tokens.
func Check(raw []byte) error {
	var w walker
	return w.scan(raw)
}

// CheckInner is Check for a program's value that travels inside a message, whose own depth and tokens count too. Two
// keys may differ in case only, because the program's decoder may tell them apart, as a map of encoding/json does.
func CheckInner(raw []byte) error {
	w := walker{depth: 1, tokens: 16, exact: true}
	return w.scan(raw)
}

// CheckProgram is Check for a program's value that travels alone.
func CheckProgram(raw []byte) error {
	w := walker{exact: true}
	return w.scan(raw)
}

// programs reports whether a member of a message is a program's value.
func programs(key string) bool { return key == "body" || key == "context" }

// scan does what Check does, and keeps the members of the outermost object.
func (w *walker) scan(raw []byte) error {
	switch {
	case !utf8.Valid(raw): // guard: json-utf8
		return malformed("not UTF-8")
	case hasLoneSurrogate(raw): // guard: json-surrogate
		return malformed("lone surrogate")
	case !json.Valid(raw): // also for text after the value
		var v any
		return malformed("%v", json.Unmarshal(raw, &v))
	}
	w.raw = raw
	return w.value(w.depth)
}

// walker walks JSON whose grammar is known to be valid.
type walker struct {
	raw    []byte
	at     int
	tokens int
	depth  int  // at the start
	exact  bool // within a program's value: two keys may differ in case only

	top      [4]member // of the outermost object, if it is one
	used     int
	overflow bool   // there are more members than top holds
	kind     []byte // the value of its key "type"
}

// member is a key and its raw value.
type member struct {
	key string
	raw []byte
}

// next skips separators and counts the token that follows.
func (w *walker) next() (byte, error) {
	for w.at < len(w.raw) {
		switch c := w.raw[w.at]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			w.at++
		default:
			w.tokens++
			if w.tokens > maxTokens { // guard: json-tokens
				return 0, malformed("more than %d tokens", maxTokens)
			}
			return c, nil
		}
	}
	return 0, malformed("unexpected end")
}

func (w *walker) value(depth int) error {
	c, err := w.next()
	if err != nil {
		return err
	}
	switch c {
	case '{', '[':
		depth++
		if depth > maxDepth { // guard: json-depth
			return malformed("nested deeper than %d", maxDepth)
		}
		w.at++
		if c == '{' {
			return w.members(depth)
		}
		for {
			switch c, err := w.next(); {
			case err != nil:
				return err
			case c == ']':
				w.at++
				return nil
			}
			w.tokens-- // value counts it again
			if err := w.value(depth); err != nil {
				return err
			}
		}
	case '"':
		w.text()
	default: // a number, true, false or null
		begin := w.at
		for w.at < len(w.raw) && strings.IndexByte(" \t\r\n,:]}", w.raw[w.at]) < 0 {
			w.at++
		}
		if tooLarge(w.raw[begin:w.at]) { // guard: json-number
			return malformed("a number out of the range of a double")
		}
	}
	return nil
}

// tooLarge reports whether no double can hold a number (RFC 8259 section 6): a program that decodes it would get an
// error or a different number, depending on its language.
func tooLarge(number []byte) bool {
	if len(number) < 300 && !bytes.ContainsAny(number, "eE") {
		return false
	}
	_, err := strconv.ParseFloat(string(number), 64)
	return errors.Is(err, strconv.ErrRange)
}

// members walks an object, after its opening brace.
func (w *walker) members(depth int) error {
	var keys keySet
	for {
		switch c, err := w.next(); {
		case err != nil:
			return err
		case c == '}':
			w.at++
			return nil
		}
		key, ok := plain(w.text())
		if !ok || !keys.add(key, w.exact) { // guard: json-twice
			return malformed("key %q twice", key)
		}
		outermost := depth == w.depth+1
		begin, exact := w.at, w.exact
		w.exact = exact || outermost && programs(key)
		if err := w.value(depth); err != nil {
			return err
		}
		w.exact = exact
		if !outermost {
			continue
		}
		m := member{key, bytes.TrimLeft(w.raw[begin:w.at], " \t\r\n:")}
		if key == "type" {
			w.kind = m.raw
		}
		if w.used == len(w.top) {
			w.overflow = true
			continue
		}
		w.top[w.used] = m
		w.used++
	}
}

// text skips a string and returns it with its quotes.
func (w *walker) text() []byte {
	begin := w.at
	for w.at++; w.raw[w.at] != '"'; w.at++ {
		if w.raw[w.at] == '\\' {
			w.at++
		}
	}
	w.at++
	return w.raw[begin:w.at]
}

// plain returns the text of a JSON string; false if raw is not one.
func plain(raw []byte) (string, bool) {
	if len(raw) < 2 || raw[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), true
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err == nil
}

// keySet holds the keys of one object. A few are compared one by one, which allocates no memory.
type keySet struct {
	few  [8]string
	n    int
	many map[string]struct{}
}

// add returns false if the key is already present, in any case unless exact is set.
func (s *keySet) add(key string, exact bool) bool {
	for _, k := range s.few[:s.n] {
		if k == key || !exact && strings.EqualFold(k, key) {
			return false
		}
	}
	if s.n < len(s.few) {
		s.few[s.n] = key
		s.n++
		return true
	}
	folded := key
	if !exact {
		folded = fold(key)
	}
	if _, twice := s.many[folded]; twice {
		return false
	}
	if s.many == nil {
		s.many = map[string]struct{}{}
	}
	s.many[folded] = struct{}{}
	return true
}

// fold maps two keys to the same text if EqualFold, which encoding/json uses for keys, treats them as equal.
func fold(key string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, key)
}

// hasLoneSurrogate reports whether \uD800 to \uDFFF occur outside a pair; encoding/json turns them into U+FFFD.
func hasLoneSurrogate(raw []byte) bool {
	for i := 0; i < len(raw); i++ {
		if raw[i] != '\\' {
			continue
		}
		i++
		if i >= len(raw) || raw[i] != 'u' {
			continue
		}
		u, ok := hex4(raw, i+1)
		if !ok || u < 0xD800 || u > 0xDFFF {
			continue
		}
		if u >= 0xDC00 || i+6 >= len(raw) || raw[i+5] != '\\' || raw[i+6] != 'u' {
			return true
		}
		low, ok := hex4(raw, i+7)
		if !ok || low < 0xDC00 || low > 0xDFFF {
			return true
		}
		i += 10
	}
	return false
}

func hex4(raw []byte, at int) (uint64, bool) {
	if at+4 > len(raw) {
		return 0, false
	}
	u, err := strconv.ParseUint(string(raw[at:at+4]), 16, 16)
	return u, err == nil
}
