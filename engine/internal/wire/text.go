package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"multipeer/internal/invisible"
)

// MaxName is the maximum length of a display name in bytes of UTF-8, as in MCPeerID.
const MaxName = 63

// MaxService is the maximum length of a service type (RFC 6335 section 5.1).
const MaxService = 15

// ErrInvalid reports that a value from the program itself breaks a rule; the text names the rule.
var ErrInvalid = errors.New("invalid")

// ValidateName checks our own display name: 1 to 63 bytes of UTF-8 (MCPeerID), with something visible in it, and
// without characters that break a line or change the text direction.
func ValidateName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("name: %w: empty", ErrInvalid)
	case len(s) > MaxName:
		return fmt.Errorf("name: %w: %d bytes, at most %d", ErrInvalid, len(s), MaxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("name: %w: not UTF-8", ErrInvalid)
	}
	if !strings.ContainsFunc(s, func(r rune) bool { return !leavesNoMark(r) }) {
		return fmt.Errorf("name: %w: no visible character", ErrInvalid)
	}
	for _, r := range s {
		if BreaksText(r) {
			return fmt.Errorf("name: %w: character %U is not allowed", ErrInvalid, r)
		}
	}
	return nil
}

// ValidateServiceType checks a bare service type by RFC 6335 section 5.1: 1 to 15 of a-z, 0-9 and -, at least one
// letter, and no hyphen at either end or next to another one.
func ValidateServiceType(s string) error {
	bad := func(why string) error { return fmt.Errorf("service type %q: %w: %s", s, ErrInvalid, why) }
	if len(s) < 1 || len(s) > MaxService {
		return bad("must have 1 to 15 characters")
	}
	letter := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z':
			letter = true
		case c >= '0' && c <= '9', c == '-':
		default:
			return bad("must contain only a-z, 0-9 and hyphens")
		}
	}
	switch {
	case !letter:
		return bad("must contain at least one letter")
	case s[0] == '-' || s[len(s)-1] == '-':
		return bad("must not begin or end with a hyphen")
	case strings.Contains(s, "--"):
		return bad("must not contain a double hyphen")
	}
	return nil
}

// BreaksText reports whether a character must not be displayed unchanged in text from a peer: control characters, line
// separators, private-use code points, invisible characters, and those that change the text direction.
func BreaksText(r rune) bool { return invisible.Breaks(r) }

// leavesNoMark reports whether a character leaves no mark. The four letters at the end are blank in every font.
func leavesNoMark(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsGraphic(r) || unicode.In(r, unicode.Mn, unicode.Me) ||
		r == 0x3164 || r == 0x115F || r == 0x1160 || r == 0x2800 || r == 0xFFA0
}

// CleanName makes a peer's name fit for display. Characters that break text become visible escapes; the name is cut at
// 40 characters with at most 3 combining marks each; a name with nothing visible becomes "unnamed".
func CleanName(s string) string {
	var b strings.Builder
	shown := 0
	marks := 0
	visible := false
	before := rune(0)
	for _, r := range s {
		last := before
		before = r
		if shown >= 40 {
			b.WriteRune('…')
			break
		}
		switch {
		case BreaksText(r), invisible.Joins(r) && (last < 0x80 || invisible.Joins(last)):
			fmt.Fprintf(&b, "‹%U›", r)
			shown, marks = shown+1, 0
		case unicode.In(r, unicode.Mn, unicode.Me):
			marks++
			if marks <= 3 {
				b.WriteRune(r)
			}
			continue
		default:
			b.WriteRune(r)
			shown, marks = shown+1, 0
		}
		visible = visible || !leavesNoMark(r)
	}
	if !visible {
		return "unnamed"
	}
	return strings.TrimSpace(b.String())
}

// CleanLine makes a peer's text fit for one line: characters that break text become visible escapes, and nothing is
// cut.
func CleanLine(s string) string { return breaks.Replace(CleanText(s)) }

var breaks = strings.NewReplacer("\n", "‹U+000A›", "\t", "‹U+0009›")

// CleanText is CleanName for running text: line breaks and tabs stay, and nothing is cut.
func CleanText(s string) string {
	var b strings.Builder
	before := rune(0)
	for _, r := range s {
		last := before
		before = r
		if BreaksText(r) && r != '\n' && r != '\t' || invisible.Joins(r) && (last < 0x80 || invisible.Joins(last)) {
			fmt.Fprintf(&b, "‹%U›", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
