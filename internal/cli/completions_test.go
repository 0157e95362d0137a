package cli

import (
	"strings"
	"testing"

	"multipeer/engine"
)

// TestCompletion_InsertsPlainWordsOnly: a shell evaluates what it completes, and peers choose their names.
func TestCompletion_InsertsPlainWordsOnly(t *testing.T) {
	id := engine.PeerID{1}
	for _, name := range []string{"Anna", "Zoë", "box-2.lan", "小明"} {
		if got := completion(engine.Acquaintance{ID: id, Name: name}); got != name {
			t.Errorf("%q is completed as %q", name, got)
		}
	}
	for _, name := range []string{
		"", "$(id)", "`id`", "Ben;id", "Ben id", "Ben\tid", "a&b", "a|b", "a>b", "-rf", "--into=x", "~root", "*", "a'b", `a"b`, `a\b`, "a\nb", "{a,b}", "!x", "#x", "%x", "(x)", "<x", "a=b", "@x", "a,b", "a:b", "^x", "[x]", "a?b", "a\u00a0b", "a’b", "a“b",
	} {
		got := completion(engine.Acquaintance{ID: id, Name: name})
		word, description, _ := strings.Cut(got, "\t")
		if word != id.Short() {
			t.Errorf("%q is completed as %q", name, word)
		}
		if strings.ContainsAny(description, "$`;&|<>(){}[]'\"\\\n\t !*?~#%=@,:^’“") {
			t.Errorf("%q is described as %q", name, description)
		}
	}
}
