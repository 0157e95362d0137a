// Package invisible knows the characters that text from other devices must not contain: they are invisible, change the
// direction of the text around them, or break it.
package invisible

import (
	"unicode"
	"unicode/utf8"
)

// Breaks reports whether a character must not be displayed unchanged: control characters, line separators, private-use
// code points, invisible characters, and those that change the text direction.
func Breaks(r rune) bool {
	switch {
	case r >= ' ' && r <= '~':
		return false
	case unicode.IsControl(r), r == utf8.RuneError:
		return true
	case r == 0x2028, r == 0x2029, r >= 0xE0000 && r <= 0xE0FFF && !Joins(r):
		return true
	case r >= 0x180B && r <= 0x180F, r == 0x2800, r >= 0xFFF0 && r <= 0xFFFB, r == 0x13441, r == 0x13442, r == 0x1D159: // blank
		return true
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r): // visible, although it is a format character
		return false
	case unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) && !Joins(r): // invisible, or changes the direction
		return true
	}
	return unicode.Is(unicode.Co, r)
}

// Joins reports whether a character is invisible by itself and changes the one before: joiners, as in emoji and in
// Persian, and variation selectors. After ASCII they change nothing.
func Joins(r rune) bool {
	return r == 0x200C || r == 0x200D || r >= 0xFE00 && r <= 0xFE0F || r >= 0xE0100 && r <= 0xE01EF
}
