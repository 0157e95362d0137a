package web

import (
	"embed"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

//go:embed texts
var textFiles embed.FS

// languages are the languages of the page, default first.
var languages = []string{"en", "de", "es", "fi", "fr", "zh"}

// texts holds the strings of the page by language and key.
var texts = loadTexts()

func loadTexts() map[string]map[string]string {
	out := map[string]map[string]string{}
	for _, lang := range languages {
		b, err := textFiles.ReadFile("texts/" + lang + ".json")
		if err != nil {
			panic(err) // it is embedded
		}
		var t map[string]string
		if err := json.Unmarshal(b, &t); err != nil {
			panic(fmt.Sprintf("%s: %v", lang, err))
		}
		out[lang] = t
	}
	return out
}

// languageOf picks the language for an Accept-Language header (RFC 9110 section 12.5.4).
func languageOf(header string) string {
	best, weight := languages[0], 0.0
	for _, part := range strings.Split(header, ",") {
		tag, rest, _ := strings.Cut(part, ";")
		q := 1.0
		if value, is := strings.CutPrefix(strings.TrimSpace(rest), "q="); is {
			var err error
			if q, err = strconv.ParseFloat(value, 64); err != nil {
				continue
			}
		}
		lang, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(tag)), "-")
		if slices.Contains(languages, lang) && q > weight {
			best, weight = lang, q
		}
	}
	return best
}

// scriptTexts returns a line of JavaScript that defines the strings for the page's script.
func scriptTexts(lang string) []byte {
	b, err := json.Marshal(texts[lang])
	if err != nil {
		panic(err) // strings only
	}
	return append(append([]byte("const T = "), b...), ";\n"...)
}
