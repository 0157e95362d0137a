package identity

import (
	"testing"
	"unicode/utf8"
)

// TestNameKey covers pairs that a person would confuse, and pairs that no one would.
func TestNameKey(t *testing.T) {
	same := [][2]string{
		{"Anna", "anna"},
		{"Anna", " Anna "},
		{"Anna", "An\u200bna"},
		{"Anna", "Αnna"},
		{"Anna", "Аnnа"},
		{"Anna", "Ａｎｎａ"},
		{"Anna", "Ann\u0430"},
		{"Anna", "A\u00adnna"},
		{"Ben's Mac", "Bens Mac"},
		{"Ben's Mac", "Ben’s  Mac"},
		{"Zoë", "Zoe\u0308"},
		{"Zoë", "Zoe"},
		{"Paul", "PauI"},
		{"Paul", "Pau1"},
		{"Paul", "Рaul"},
		{"Tom", "Torn"},
		{"Will", "VViII"},
		{"Kitchen PC", "Kitchen-PC"},
		{"Olga", "0lga"},
		{"MacBook", "МасВоок"},
		{"Straße", "strasse"},
		{"ﬁona", "fiona"},
		{"Anna\u2800", "Anna"},
		{"Anna\u3164", "Anna"},
		{"Anna", "ꓮnna"},
		{"Anna", "Ꭺnna"},
		{"Anna", "ᗅnna"},
		{"Anna", "𐊠nna"},
		{"Anna", "Anпa"},
		{"Anna", "ᴀnna"},
		{"Anna", "Ann⍺"},
		{"Paul", "𝓟𝖆𝗎𝚕"},
		{"Ben", "Вen"},
		{"Ben", "ꓐen"},
		{"Olga", "Ⲟlga"},
		{"Tom", "ᎢⲞⅯ"[:3] + "om"},
		{"Anna", "An\u200dna"},
		{"Anna", "Anna\ufe0f"},
		{"Sam", "ѕаm"},
		{"Anna-PC", "Anna\u2011PC"},
		{"Anna-PC", "Anna\u2212PC"},
		{"Anna-PC", "Anna\u30fcPC"},
		{"Anna's iPhone", "Anna\u02bcs iPhone"},
		{"Anna's iPhone", "Anna\ua78cs iPhone"},
		{"Anna's iPhone", "Anna`s iPhone"},
		{"Dr. Anna", "Dr\ua4f8 Anna"},
		{"Anna (phone)", "Anna \ufd3ephone\ufd3f"},
		{"Anna", "Anna ✓"},
		{"Anna", "“Anna”!"},
		{"Anna", "@nna"},
		{"Anna", "ʌnna"},
		{"Nils-2", "Nils—²"},
	}
	for _, p := range same {
		if NameKey(p[0]) != NameKey(p[1]) {
			t.Errorf("%q and %q look different: %q, %q", p[0], p[1], NameKey(p[0]), NameKey(p[1]))
		}
	}
	for _, p := range [][2]string{{"Anna", "Anne"}, {"Anna", "Hanna"}, {"iPhone 14", "iPhone 12"}, {"王", "玉"}, {"Ben", "Bea"}, {"Анна", "Инна"}, {"a", "b"}, {"📱", "💻"}} {
		if NameKey(p[0]) == NameKey(p[1]) {
			t.Errorf("%q and %q look the same: %q", p[0], p[1], NameKey(p[0]))
		}
	}
}

func FuzzNameKey(f *testing.F) {
	f.Add("Anna")
	f.Add("\u202eannA\xff")
	f.Fuzz(func(t *testing.T, s string) {
		k := NameKey(s)
		if !utf8.ValidString(k) {
			t.Errorf("%q has the key %q", s, k)
		}
		if utf8.ValidString(s) && NameKey(s) != k {
			t.Errorf("%q has two keys", s)
		}
	})
}
