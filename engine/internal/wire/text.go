package wire

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxName is the longest display name in bytes of UTF-8, as MCPeerID has it.
const MaxName = 63

// MaxService is the longest service type (RFC 6335 section 5.1).
const MaxService = 15

// ErrInvalid tells that a value from the program itself breaks a rule; the text names the rule.
var ErrInvalid = errors.New("invalid")

// ValidateName checks a display name of our own: 1 to 63 bytes of UTF-8 (MCPeerID), something visible in it, and
// none of the characters that break a line or turn the reading direction.
func ValidateName(s string) error {
	switch {
	case s == "":
		return fmt.Errorf("name: %w: it is empty", ErrInvalid)
	case len(s) > MaxName:
		return fmt.Errorf("name: %w: %d bytes, at most %d", ErrInvalid, len(s), MaxName)
	case !utf8.ValidString(s):
		return fmt.Errorf("name: %w: not UTF-8", ErrInvalid)
	}
	visible := false
	for _, r := range s {
		if BreaksText(r) {
			return fmt.Errorf("name: %w: character %U is not allowed", ErrInvalid, r)
		}
		visible = visible || !invisible(r)
	}
	if !visible {
		return fmt.Errorf("name: %w: nothing visible in it", ErrInvalid)
	}
	return nil
}

// ValidateServiceType checks a bare service type by RFC 6335 section 5.1: 1 to 15 of a-z, 0-9 and -, at least one
// letter, no hyphen at an edge or next to another.
func ValidateServiceType(s string) error {
	bad := func(why string) error { return fmt.Errorf("service type %q: %w: %s", s, ErrInvalid, why) }
	if len(s) < 1 || len(s) > MaxService {
		return bad("1 to 15 characters")
	}
	letter := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z':
			letter = true
		case c >= '0' && c <= '9', c == '-':
		default:
			return bad("only a-z, 0-9 and hyphens")
		}
	}
	switch {
	case !letter:
		return bad("at least one letter")
	case s[0] == '-' || s[len(s)-1] == '-':
		return bad("no hyphen at an edge")
	case strings.Contains(s, "--"):
		return bad("no doubled hyphen")
	}
	return nil
}

// BreaksText tells the characters that no text from a peer may put on a screen as they are: controls, line
// separators, private and unassigned code points, and the ones that turn the reading direction.
func BreaksText(r rune) bool {
	switch {
	case unicode.IsControl(r), r == utf8.RuneError:
		return true
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C:
		return true
	case r == 0x2028, r == 0x2029, r >= 0xE0000 && r <= 0xE007F, r == 0xFEFF, r >= 0xFFF9 && r <= 0xFFFB:
		return true
	}
	return unicode.Is(unicode.Co, r)
}

// invisible tells the characters that leave no mark. The four letters at the end are blank in every font.
func invisible(r rune) bool {
	return unicode.IsSpace(r) || !unicode.IsGraphic(r) || unicode.In(r, unicode.Mn, unicode.Me) ||
		r == 0x3164 || r == 0x115F || r == 0x1160 || r == 0x2800 || r == 0xFFA0
}

// CleanName makes a peer's name fit to be shown: what breaks text becomes a visible escape, it is cut at 40
// characters with at most 3 combining marks each, and a name with nothing visible becomes "unnamed".
func CleanName(s string) string {
	var b strings.Builder
	shown, marks, visible := 0, 0, false
	for _, r := range s {
		if shown >= 40 {
			b.WriteRune('…')
			break
		}
		switch {
		case BreaksText(r):
			fmt.Fprintf(&b, "‹%U›", r)
			shown, marks = shown+1, 0
		case unicode.In(r, unicode.Mn, unicode.Me):
			if marks++; marks <= 3 {
				b.WriteRune(r)
			}
			continue
		default:
			b.WriteRune(r)
			shown, marks = shown+1, 0
		}
		visible = visible || !invisible(r)
	}
	if !visible {
		return "unnamed"
	}
	return strings.TrimSpace(b.String())
}

// CleanLine makes text of a peer fit for one line: what breaks text becomes a visible escape, nothing is cut.
func CleanLine(s string) string { return breaks.Replace(CleanText(s)) }

var breaks = strings.NewReplacer("\n", "‹U+000A›", "\t", "‹U+0009›")

// CleanText is CleanName for running text: line breaks and tabs stay, nothing is cut.
func CleanText(s string) string {
	var b strings.Builder
	for _, r := range s {
		if BreaksText(r) && r != '\n' && r != '\t' {
			fmt.Fprintf(&b, "‹%U›", r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}
