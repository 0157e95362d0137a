package ui

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/lang"
)

// English text is in the code; translations holds every other language, with the English text as the key. Keys must
// be constants: a missing key is parsed as a template, so text from a peer may only be template data.

//go:embed translations
var translations embed.FS

// language is a language of the window.
type language struct{ tag, name string }

// languages are the languages of the window under their own names. The English text is in the code.
var languages = []language{{"en", "English"}, {"de", "Deutsch"}, {"fr", "Français"}, {"es", "Español"}, {"zh-Hans", "中文"}, {"fi", "Suomi"}}

// speak loads the translations. tag chooses a language; an empty tag follows the system.
func speak(tag string) error {
	if err := lang.AddTranslationsFS(translations, "translations"); err != nil {
		return fmt.Errorf("loading the translations: %w", err)
	}
	if tag == "" {
		tag = systemTag() // a language that was chosen before has replaced it
	}
	b, err := fs.ReadFile(translations, "translations/"+tag+".json")
	if err != nil {
		return fmt.Errorf("loading the language %q: %w", tag, err)
	}
	// Fyne only follows the system's locale, so the chosen language is registered under that locale.
	return lang.AddTranslationsForLocale(b, systemLocale())
}

// systemTag returns the language of the window that the system's locale asks for.
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

// trn translates a string with a count, which its template gets as N.
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

// joined joins the parts that are not empty.
func joined(parts ...string) string {
	var out []string
	for _, p := range parts {
		if p != "" {
			out = append(out, p)
		}
	}
	return strings.Join(out, " · ")
}
