package transfer

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"multipeer/internal/invisible"
)

// InertSuffix is appended to files and folders that can make programs run code when a file manager lists them, or when
// they are in a shell's working folder, until the user renames them.
const InertSuffix = ".inert"

// splitPath rejects what no honest sender sends: a path that is absolute or contains "..". Such an entry fails the
// whole transfer. What only some systems cannot handle, including a backslash or a drive letter, is rewritten by
// portable instead.
func splitPath(raw string) ([]string, error) {
	bad := func(why string) ([]string, error) { return nil, fmt.Errorf("%w: %q %s", ErrBadName, raw, why) }
	switch {
	case raw == "":
		return bad("is empty")
	case len(raw) > MaxPath: // guard: path-length
		return nil, fmt.Errorf("%w: a path of %d bytes is too long", ErrBadName, len(raw))
	case strings.Contains(raw, "\x00"): // guard: path-nul
		return bad("contains a NUL")
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
	return parts, nil
}

// ValidateName checks a name under which a file or folder is to be sent: one component of a path, in UTF-8, with at
// most 255 bytes. The error wraps ErrBadName and names the rule. A receiver may still change a name that its own system
// does not accept.
func ValidateName(name string) error {
	switch {
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%w: %q is not a valid file name", ErrBadName, name)
	case len(name) > maxName:
		return fmt.Errorf("%w: %d bytes, more than %d", ErrBadName, len(name), maxName)
	case !utf8.ValidString(name):
		return fmt.Errorf("%w: %q is not UTF-8", ErrBadName, name)
	case strings.ContainsAny(name, "/\\\x00"):
		return fmt.Errorf("%w: %q contains a separator", ErrBadName, name)
	}
	return nil
}

// portable makes one path component safe and the same on every system, in at most limit bytes. top marks a name that
// goes into the user's own folder, where a leading dot would hide it or turn it into a settings file.
func portable(name string, top bool, limit int) string {
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
		after := i > 0 && runes[i-1] > unicode.MaxASCII
		joined := after && i < len(runes)-1 && runes[i+1] > unicode.MaxASCII
		keycap := i > 0 && i < len(runes)-1 && runes[i+1] == 0x20E3 // an emoji such as 1️⃣
		switch {
		case strings.ContainsRune(`<>:"|?*\`, r), !allowed(r): // guard: name-separators
			b.WriteByte('_')
		case (r == 0x200C || r == 0x200D) && !joined: // joiners belong to emoji and Persian, and are invisible elsewhere
			b.WriteByte('_')
		case invisible.Joins(r) && !after && !keycap: // guard: name-selector
			b.WriteByte('_')
		default:
			b.WriteRune(r)
		}
	}
	s := b.String()
	if trimmed := strings.TrimRight(s, ". "); len(trimmed) < len(s) {
		s = trimmed + strings.Repeat("_", len(s)-len(trimmed))
	}
	if s == "" {
		return "_"
	}
	if s[0] == ' ' || top && s[0] == '.' { // guard: name-dot
		s = "_" + s[1:]
	}
	if strings.EqualFold(s, PartialDir) { // guard: name-partial
		s = "_" + s[1:]
	}
	s = shorten(s, limit)
	if reserved(s) { // guard: name-reserved
		s = "_" + shorten(s, limit-1)
	}
	if actsWhenListed(s) { // guard: name-inert
		return shorten(s, limit-len(InertSuffix)) + InertSuffix
	}
	return s
}

// plain reduces a name to ASCII letters, digits and other harmless characters.
func plain(name string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._- ()", r):
			return r
		}
		return '_'
	}, name)
}

// allowed rejects control characters, surrogates, private-use code points, separators, and characters that are
// invisible or change the text direction. unicode.IsPrint would reject the joiner in a family emoji and accept the
// blank characters in the last cases.
func allowed(r rune) bool {
	switch {
	case unicode.In(r, unicode.Cc, unicode.Cs, unicode.Co, unicode.Zl, unicode.Zp):
		return false
	case r == 0x3164, r == 0x115F, r == 0x1160, r == 0xFFA0, r == utf8.RuneError:
		return false
	}
	return !invisible.Breaks(r)
}

// reserved reports whether name is a Windows device name, with any extension.
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

// actsWhenListed reports whether a name is one that a file manager, or the prompt of a shell in that folder, reads and
// acts on without anyone opening it. It does not cover names whose programs ask before they run anything (.envrc of
// direnv, the tasks of editors in .vscode and .idea), nor those that only hold data (Thumbs.db, .DS_Store).
func actsWhenListed(name string) bool {
	lower := collisionKey(cases.Fold(), name)
	switch lower {
	case "desktop.ini", "autorun.inf", ".directory":
		return true
	}
	if ofVersionControl(lower) { // guard: name-repository
		return true
	}
	ext := path.Ext(lower)
	switch ext {
	// Windows
	case ".lnk", ".url", ".website", ".pif", ".scf", ".library-ms", ".search-ms", ".searchconnector-ms", ".theme",
		".themepack", ".deskthemepack", ".appref-ms", ".settingcontent-ms":
		return true
	// freedesktop.org and KDE
	case ".desktop", ".directory", ".kdelnk":
		return true
	// macOS
	case ".terminal", ".command", ".tool", ".app", ".inetloc", ".webloc", ".fileloc", ".ftploc", ".afploc",
		".mailloc", ".vncloc":
		return true
	}
	// Explorer loads the extension that a folder names in its own name: "x.{ED7BA470-8E54-465E-825C-99712043E01C}"
	// (Microsoft, "Specifying a Namespace Extension's Location", junction points).
	return len(ext) == len(".{00000000-0000-0000-0000-000000000000}") && ext[1] == '{' && ext[len(ext)-1] == '}'
}

// ofVersionControl reports whether a name is one by which programs find a repository in the current folder or in one
// above it. Prompts, file managers and editors run these programs, and a repository configures commands that they run:
//   - Git: core.fsmonitor in .git/config, on each "git status" (git-config(1)). A .git that is a file names another
//     folder. A folder with HEAD, objects and refs is a repository by itself, without the name .git
//     (gitrepository-layout(5); safe.bareRepository in git-config(1) explains the danger). Every repository has a HEAD.
//   - Mercurial and Sapling: [extensions] and [hooks] in .hg/hgrc and .sl/config, on each command (hgrc(5)).
//   - Jujutsu: the programs that sign and compare in .jj/repo/config.toml.
//
// The folder may also exist already, with the received entries merged into it. Windows may know its .git as git~1.
func ofVersionControl(lower string) bool {
	switch lower {
	case ".git", ".hg", ".sl", ".jj", "head":
		return true
	case "commondir", "gitdir", "config.worktree": // they configure an existing repository
		return true
	}
	short, number, ok := strings.Cut(lower, "~")
	if !ok || number == "" || strings.Trim(number, "0123456789") != "" {
		return false
	}
	switch short {
	case "git", "hg", "sl", "jj":
		return true
	}
	return false
}

// shorten cuts a name to limit bytes at a rune boundary, keeping a short extension. The result is never empty.
func shorten(name string, limit int) string {
	if len(name) <= limit {
		return name
	}
	ext := path.Ext(name)
	if len(ext) > 20 {
		ext = ""
	}
	if short := strings.TrimRight(cut(name, limit-len(ext)), ". ") + ext; short != "" {
		return short
	}
	return "_" // only dots and spaces were left
}

// numbered returns the n-th candidate for a name that is taken, in at most limit bytes: "name (2).ext".
func numbered(name string, n, limit int) string {
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
	number := fmt.Sprintf(" (%d)", n)
	stem := cut(strings.TrimSuffix(name, ext), limit-len(number)-len(ext)-len(inert))
	return stem + number + ext + inert
}

// cut returns the start of s in at most n bytes, without splitting a rune.
func cut(s string, n int) string {
	if len(s) <= n {
		return s
	}
	n = max(n, 0)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// maxNumber is the highest number that is tried for a name.
const maxNumber = 9999

// collisionKey is equal for names that some file system treats as the same: ABC and abc, é as one code point and as
// two, and an emoji with and without its variation selector. It is the canonical caseless match of the Unicode Standard
// (section 3.13, D145), without the code points that ext4 and HFS+ ignore, and with the simple upper case that NTFS and
// exFAT compare. A disk may treat still more names as the same: see plan.other.
func collisionKey(fold cases.Caser, name string) string {
	for i := range len(name) {
		if name[i] >= utf8.RuneSelf {
			return norm.NFD.String(fold.String(strings.Map(unignored, norm.NFD.String(name))))
		}
	}
	return strings.ToLower(name) // the same result for ASCII, faster
}

// unignored returns the simple upper case of a rune, or -1 for one that file systems ignore.
func unignored(r rune) rune {
	if unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return unicode.ToUpper(r)
}

// SavedName returns the name under which a top-level entry is saved if that name is free and the disk accepts it.
func SavedName(name string) string { return portable(path.Base(name), true, maxName) }
