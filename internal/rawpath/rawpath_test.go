package rawpath

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEncode_KeepsEachPath(t *testing.T) {
	for _, path := range []string{"", "/home/anna/a.txt", "/old/caf\xe9", "\xff\xfe", "é\xe9é", "�", "\xed\xa0\x80", "\xe2\x82"} {
		check(t, path)
	}
}

func check(t *testing.T, path string) {
	t.Helper()
	text := Encode(path)
	if !utf8.ValidString(text) || Decode(text) != path || utf8.ValidString(path) && text != path {
		t.Errorf("%q: %q, %q", path, text, Decode(text))
	}
	b, err := json.Marshal(map[string]Path{"path": Path(path)})
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]Path
	if err := json.Unmarshal(b, &got); err != nil || got["path"] != Path(path) {
		t.Errorf("%q: as JSON %q, %v", path, got["path"], err)
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("caf\xe9")
	f.Fuzz(func(t *testing.T, path string) {
		if !strings.Contains(path, "\x00") { // no path does
			check(t, path)
		}
		Decode(path)
	})
}
