package wire

import (
	"strings"
	"testing"
	"unicode"

	"multipeer/internal/invisible"
)

// TestClean_ShowsWhatIsInvisible: invisible characters are shown, in names and in text, unless they change the
// character before them.
func TestClean_ShowsWhatIsInvisible(t *testing.T) {
	for _, r := range []rune{0x00AD, 0x034F, 0x115F, 0x1160, 0x180E, 0x200B, 0x2060, 0x2061, 0x2064, 0x206A, 0x2800, 0x3164, 0xFFA0, 0xFEFF, 0xFE0F, 0xFE00, 0x200C, 0x200D, 0xE0100, 0x202E} {
		text := "An" + string(r) + "na"
		for what, shown := range map[string]string{"name": CleanName(text), "line": CleanLine(text), "text": CleanText(text)} {
			if strings.ContainsRune(shown, r) || !strings.Contains(shown, "‹U+") {
				t.Errorf("%U in a %s is shown as %q", r, what, shown)
			}
		}
	}
	for _, text := range []string{"❤\ufe0f", "👩\u200d👩\u200d👧", "می\u200cخواهم", "क्\u200dष", "葛\U000e0100"} {
		if shown := CleanLine(text); shown != text {
			t.Errorf("%q is shown as %q", text, shown)
		}
	}
}

// TestBreaksText_NothingInvisible: every character that Unicode lists as invisible is escaped, except those that change
// how the one before them looks; visible format characters, such as the Arabic number sign, stay.
func TestBreaksText_NothingInvisible(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		visible := !unicode.In(r, unicode.Cf, unicode.Other_Default_Ignorable_Code_Point) || unicode.Is(unicode.Prepended_Concatenation_Mark, r)
		if !visible && !invisible.Joins(r) && !BreaksText(r) {
			t.Errorf("%U is invisible", r)
		}
	}
	for _, r := range []rune{0x2065, 0x1D173, 0xFFF0, 0xE0080, 0xE01F0, 0x1D159, 0x13441, 0x2800} {
		if !BreaksText(r) {
			t.Errorf("%U looks blank", r)
		}
	}
	for _, r := range "é—👍🏽一א" + "\u0600\u200d\ufe0f" {
		if BreaksText(r) {
			t.Errorf("%U is escaped", r)
		}
	}
}
