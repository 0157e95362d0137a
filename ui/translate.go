package ui

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"
)

// English text is in the code; the folder translations holds all languages, with the English text as the key. Keys must
// be constants: a missing key is parsed as a template, so text from a peer may only be template data.

//go:embed translations
var translations embed.FS

// language is a language of the window.
type language struct{ tag, name string }

// languages are the languages of the window under their own names. The English text is in the code.
var languages = []language{{"en", "English"}, {"de", "Deutsch"}, {"fr", "Français"}, {"es", "Español"}, {"zh-Hans", "中文"}, {"fi", "Suomi"}}

// speak loads the translations of a language; an empty tag selects the system's language.
func speak(tag string) error {
	if err := lang.AddTranslationsFS(translations, "translations"); err != nil {
		return fmt.Errorf("loading the translations: %w", err)
	}
	if tag == "" {
		tag = systemTag() // an earlier choice of language has replaced the translations of the system's locale
	}
	b, err := fs.ReadFile(translations, "translations/"+tag+".json")
	if err != nil {
		return fmt.Errorf("loading the language %q: %w", tag, err)
	}
	// Fyne only follows the system's locale, so the chosen language is registered under that locale.
	return lang.AddTranslationsForLocale(b, systemLocale())
}

// systemTag returns the window's language for the system's locale.
func systemTag() string {
	locale := string(systemLocale())
	for _, l := range languages {
		if base, _, _ := strings.Cut(l.tag, "-"); strings.HasPrefix(locale, base) {
			return l.tag
		}
	}
	return "en"
}

// systemLocale returns the locale that Fyne picks for the system.
func systemLocale() fyne.Locale {
	l := lang.SystemLocale()
	if len(l) < 2 {
		return "en"
	}
	return l
}

// tr translates a string. pairs are names and values for its template: tr("Message {{.Name}}", "Name", n).
func tr(text string, pairs ...any) string {
	if len(pairs) == 0 {
		return lang.L(text)
	}
	return lang.L(text, fields(pairs))
}

// trn translates a string with a count, which is N in its template.
func trn(text string, n int64, pairs ...any) string {
	return lang.N(text, int(min(n, 1<<30)), fields(append(pairs, "N", n)))
}

func fields(pairs []any) map[string]any {
	m := make(map[string]any, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i].(string)] = pairs[i+1]
	}
	return m
}

// joined joins the non-empty parts.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " · ")
}
