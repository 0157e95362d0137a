package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Bounds of a JSON value from a peer.
const (
	maxDepth  = 32
	maxTokens = 200_000
)

// ErrMalformed tells that a peer sent JSON that this protocol does not allow.
var ErrMalformed = errors.New("malformed JSON")

func malformed(format string, a ...any) error {
	return fmt.Errorf("%w: %s", ErrMalformed, fmt.Sprintf(format, a...))
}

// Check refuses what encoding/json would silently repair or reinterpret:
// invalid UTF-8, lone surrogates, a key that stands twice (or twice but for
// its case, since Go matches keys without case), text after the value, and
// values nested deeper than 32 or longer than 200,000 tokens.
func Check(raw []byte) error {
	if !utf8.Valid(raw) {
		return malformed("not UTF-8")
	}
	if hasLoneSurrogate(raw) {
		return malformed("lone surrogate")
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	tokens := 0
	if err := checkValue(dec, 0, &tokens); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return malformed("text after the value")
	}
	return nil
}

func checkValue(dec *json.Decoder, depth int, tokens *int) error {
	next := func() (json.Token, error) {
		if *tokens++; *tokens > maxTokens {
			return nil, malformed("more than %d tokens", maxTokens)
		}
		t, err := dec.Token()
		if err != nil {
			return nil, malformed("%v", err)
		}
		return t, nil
	}
	t, err := next()
	if err != nil {
		return err
	}
	open, ok := t.(json.Delim)
	if !ok {
		return nil
	}
	if depth++; depth > maxDepth {
		return malformed("nested deeper than %d", maxDepth)
	}
	keys := map[string]struct{}{}
	for dec.More() {
		if open == '{' {
			k, err := next()
			if err != nil {
				return err
			}
			name, ok := k.(string)
			if !ok {
				return malformed("key is no string")
			}
			name = strings.ToLower(name)
			if _, twice := keys[name]; twice {
				return malformed("key %q twice", name)
			}
			keys[name] = struct{}{}
		}
		if err := checkValue(dec, depth, tokens); err != nil {
			return err
		}
	}
	_, err = next() // the closing bracket; json.Decoder pairs them
	return err
}

// hasLoneSurrogate looks for \uD800 to \uDFFF that do not come as a pair; encoding/json turns them into U+FFFD.
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
