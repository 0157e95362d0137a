package wire

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of discovery info, in bytes.
const (
	MaxPair = 255  // one key=value, as a TXT string holds (RFC 6763 section 6.1)
	MaxInfo = 1000 // all pairs together, each with its "=" and its length byte in the TXT record
)

// MaxStreamName is the maximum length of a stream's name in bytes of UTF-8.
const MaxStreamName = 63

// ValidateInfo checks discovery info by the rules of MCNearbyServiceAdvertiser and RFC 6763 section 6: each key=value
// has at most MaxPair bytes; keys are printable ASCII without "=", have at least one character, and must not differ
// only in case. It also applies our own rules: no key with a leading underscore, values in UTF-8, at most MaxInfo bytes
// in total.
func ValidateInfo(info map[string]string) error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("discovery info: %w: %s", ErrInvalid, fmt.Sprintf(format, a...))
	}
	total, seen := 0, map[string]bool{}
	for k, v := range info {
		switch {
		case k == "":
			return bad("empty key")
		case k[0] == '_':
			return bad("key %q: keys that begin with an underscore are reserved", k)
		case !utf8.ValidString(v):
			return bad("key %q: the value is not UTF-8", k)
		case len(k)+1+len(v) > MaxPair:
			return bad("key %q: %d bytes with its value, at most %d", k, len(k)+1+len(v), MaxPair)
		case seen[strings.ToLower(k)]:
			return bad("key %q appears twice, ignoring case", k)
		}
		for i := range len(k) {
			if k[i] < 0x20 || k[i] > 0x7e || k[i] == '=' {
				return bad("key %q: must be printable ASCII without =", k)
			}
		}
		seen[strings.ToLower(k)] = true
		total += len(k) + len(v) + 2
	}
	if total > MaxInfo {
		return bad("%d bytes in total, at most %d", total, MaxInfo)
	}
	return nil
}

// ValidateStreamName checks the name of a stream: 1 to 63 bytes of UTF-8 without control and bidi characters.
func ValidateStreamName(s string) error { return validateShort("stream name", s, MaxStreamName) }

// MaxTopic is the maximum length of the name of a topic, in bytes of UTF-8: it fits into a datagram together with a
// full message.
const MaxTopic = 31

// ValidateTopic checks the name of a topic: 1 to 31 bytes of UTF-8 without control and bidi characters.
func ValidateTopic(s string) error { return validateShort("topic", s, MaxTopic) }

// ValidateNote checks the note of an offer: at most MaxNote bytes of UTF-8. Line breaks and other control characters
// are allowed, since the receiver escapes what it does not show. The error wraps ErrInvalid.
func ValidateNote(s string) error {
	switch {
	case len(s) > MaxNote:
		return fmt.Errorf("note: %w: %d bytes, at most %d", ErrInvalid, len(s), MaxNote)
	case !utf8.ValidString(s):
		return fmt.Errorf("note: %w: not UTF-8", ErrInvalid)
	}
	return nil
}

func validateShort(what, s string, most int) error {
	switch {
	case len(s) < 1 || len(s) > most:
		return fmt.Errorf("%s: %w: %d bytes, 1 to %d", what, ErrInvalid, len(s), most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s: %w: not UTF-8", what, ErrInvalid)
	}
	for _, r := range s {
		if BreaksText(r) {
			return fmt.Errorf("%s: %w: character %U is not allowed", what, ErrInvalid, r)
		}
	}
	return nil
}
