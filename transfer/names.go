package transfer

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

// InertSuffix is appended to files that act by merely being listed in a file manager, until the user renames them.
const InertSuffix = ".inert"

// splitPath checks what no honest sender sends: a name that climbs, is absolute or hides a separator. Such an entry
// refuses the whole transfer. What is merely ugly goes to portable instead.
func splitPath(raw string) ([]string, error) {
	bad := func(why string) ([]string, error) { return nil, fmt.Errorf("%w: %q %s", ErrBadName, raw, why) }
	switch {
	case raw == "":
		return bad("is empty")
	case len(raw) > MaxPath: // guard: path-length
		return nil, fmt.Errorf("%w: path of %d bytes", ErrBadName, len(raw))
	case strings.ContainsAny(raw, "\x00\\"): // guard: path-separators
		return bad("holds a NUL or a backslash")
	}
	parts := strings.Split(raw, "/")
	if len(parts) > MaxDepth { // guard: path-depth
		return bad("is too deep")
	}
	for _, p := range parts {
		if p == "" || p == "." || p == ".." { // guard: path-climbs
			return bad("is not a plain relative path")
		}
	}
	if first := parts[0]; len(first) == 2 && first[1] == ':' { // guard: path-drive
		return bad("starts with a drive")
	}
	return parts, nil
}

// portable makes one component of a path safe and the same on every system. top tells a name that will stand in
// the user's own folder, where a leading dot would hide it or make it a setting.
func portable(name string, top bool) string {
	var b strings.Builder
	runes := []rune{}
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if r == utf8.RuneError && n == 1 {
			runes = append(runes, []rune(fmt.Sprintf("%%%02X", name[i]))...)
		} else {
			runes = append(runes, r)
		}
		i += n
	}
	for i, r := range runes {
		joined := i > 0 && i < len(runes)-1 && runes[i-1] > unicode.MaxASCII && runes[i+1] > unicode.MaxASCII
		switch {
		case strings.ContainsRune(`<>:"|?*`, r), !allowed(r):
			b.WriteByte('_')
		case r == 0x200C || r == 0x200D: // joiners are part of emoji and of Persian, and invisible elsewhere
			if joined {
				b.WriteRune(r)
			} else {
				b.WriteByte('_')
			}
		default:
			b.WriteRune(r)
		}
	}
	s := b.String()
	if trimmed := strings.TrimRight(s, ". "); len(trimmed) < len(s) {
		s = trimmed + strings.Repeat("_", len(s)-len(trimmed))
	}
	if s[0] == ' ' || top && s[0] == '.' { // guard: name-dot
		s = "_" + s[1:]
	}
	if reserved(s) { // guard: name-reserved
		s = "_" + s
	}
	s = shorten(s, maxName)
	if actsWhenListed(s) { // guard: name-inert
		s += InertSuffix
	}
	return s
}

// allowed refuses controls, surrogates, private code points, separators and what is invisible or turns the reading
// direction. unicode.IsPrint would refuse the joiner in a family emoji and accept the blanks at the end.
func allowed(r rune) bool {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp):
		return false
	case r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r == 0x200E, r == 0x200F, r == 0x061C:
		return false
	case r == 0x200B, r == 0xFEFF, r == 0x00AD, r == 0x034F, r >= 0xE0000 && r <= 0xE007F, r >= 0xFFF9 && r <= 0xFFFB:
		return false
	case r == 0x3164, r == 0x115F, r == 0x1160, r == 0x2800, r == 0xFFA0, r == 0x2060, r == utf8.RuneError:
		return false
	}
	return true
}

// reserved tells the device names of Windows, with any extension.
func reserved(name string) bool {
	stem, _, _ := strings.Cut(strings.ToUpper(name), ".")
	stem = strings.TrimRight(stem, " ")
	switch stem {
	case "CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$":
		return true
	}
	rest, ok := strings.CutPrefix(stem, "COM")
	if !ok {
		rest, ok = strings.CutPrefix(stem, "LPT")
	}
	return ok && len([]rune(rest)) == 1 && strings.ContainsAny(rest, "123456789¹²³")
}

// actsWhenListed tells the types that a file manager reads, and acts on, without anybody opening them.
func actsWhenListed(name string) bool {
	lower := strings.ToLower(name)
	switch lower {
	case "desktop.ini", "autorun.inf":
		return true
	}
	switch path.Ext(lower) {
	case ".desktop", ".lnk", ".url", ".library-ms", ".scf", ".search-ms", ".theme", ".appref-ms", ".terminal",
		".command", ".app", ".inetloc", ".webloc":
		return true
	}
	return false
}

// shorten cuts a name to limit bytes at a rune, keeping a short extension.
func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	cut := limit - len(ext)
	for !utf8.RuneStart(name[cut]) {
		cut--
	}
	return strings.TrimRight(name[:cut], ". ") + ext
}

// numbered is the n-th way to call name when others have it: "name (2).ext".
func numbered(name string, n int) string {
	if n == 1 {
		return name
	}
	inert := ""
	if s, ok := strings.CutSuffix(name, InertSuffix); ok {
		name, inert = s, InertSuffix
	}
	ext := path.Ext(name)
	if ext == name || len(ext) > 20 { // ".profile" has no extension
		ext = ""
	}
	return fmt.Sprintf("%s (%d)%s%s", strings.TrimSuffix(name, ext), n, ext, inert)
}

// maxNumber is how many times a name is numbered before giving up.
const maxNumber = 9999

// collisionKey is equal for names that some file system takes for one: ABC and abc, é as one character and as two.
func collisionKey(fold cases.Caser, name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return fold.String(norm.NFC.String(name))
		}
	}
	return strings.ToLower(name) // the same, faster
}
