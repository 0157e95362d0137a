package transfer

import (
	"context"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// TestCollisionKey_EqualNames checks names that ext4, APFS, HFS+, NTFS or exFAT treats as the same, and names that none of
// them does.
func TestCollisionKey_EqualNames(t *testing.T) {
	key := func(name string) string { return collisionKey(newPlan().fold, name) }
	for _, c := range []struct{ a, b string }{
		{"ABC.txt", "abc.TXT"},
		{"\u00e9", "E\u0301"},
		{"\u2764\ufe0f.jpg", "\u2764.jpg"},                     // an emoji with and without its selector
		{"\U0001F468\u200d\U0001F469", "\U0001F468\U0001F469"}, // joiners
		{"\u0390.txt", "\u03aa\u0301.txt"},                     // the fold of one is composed, of the other it is not
		{"\u0391\u0345", "\u1fb3"},                             // the iota below
		{"stra\u00dfe", "STRASSE"},                             // ext4
		{"\u0131.txt", "I.txt"},                                // exFAT
		{"\u212a", "k"},                                        // the sign for kelvin
		{".g\ufe0fit", ".git"},                                 // ignored after ASCII, too
		{"\u1e9b\u0323", "\u017f\u0323\u0307"},                 // marks in another order
		{"\u03a3\u03b1\u03c2", "\u03c3\u03b1\u03c3"},           // final sigma
		{"\U00010400", "\U00010428"},                           // beyond the basic plane
		{"\uab70", "\u13a0"},                                   // Cherokee
		{"\u06cc\u200c\u0645", "\u06cc\u0645"},                 // Persian, with a non-joiner
	} {
		if key(c.a) != key(c.b) {
			t.Errorf("%+q and %+q have different keys", c.a, c.b)
		}
	}
	for _, c := range []struct{ a, b string }{{"a", "b"}, {"\u00e9", "e"}, {"\u2764", "\u2765"}, {"\u4e00", "\u4e01"}} {
		if key(c.a) == key(c.b) {
			t.Errorf("%+q and %+q have the same key", c.a, c.b)
		}
	}
}

// TestNames_SelectorsAfterASCII: a variation selector after ASCII is invisible, and some disks ignore it: it must not hide
// a name that programs act on. Emoji keep theirs.
func TestNames_SelectorsAfterASCII(t *testing.T) {
	for name, want := range map[string]string{
		".g\ufe0fit":                       ".g_it",
		"desk\U000E0100top.ini":            "desk_top.ini",
		"\ufe0fx":                          "_x",
		"\u2764\ufe0f.jpg":                 "\u2764\ufe0f.jpg",
		"1\ufe0f\u20e3.txt":                "1\ufe0f\u20e3.txt",
		"\U0001F3F3\ufe0f\u200d\U0001F308": "\U0001F3F3\ufe0f\u200d\U0001F308",
	} {
		if got := portable(name, false, maxName); got != want {
			t.Errorf("%+q is saved as %+q, want %+q", name, got, want)
		}
	}
}

// TestStage_NameOfAnotherEntry: when the disk finds another entry under the name that an entry would get, which no
// comparison of names has foreseen, neither is lost. The test creates the other one at that moment.
func TestStage_NameOfAnotherEntry(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for name, content := range map[string]string{"d/one": "1", "d/two": "2", "d/sub/a": "3", "d/three/b": "4"} {
		write(t, filepath.Join(src, name), content)
	}
	if err := os.Symlink("one", filepath.Join(src, "d/zlink")); err != nil {
		t.Skip("no symbolic links here")
	}
	data := filepath.Join(dst, PartialDir, "x", dataDir)
	var once sync.Map
	check := func(op, name string) error {
		if _, done := once.LoadOrStore(op+name, true); done {
			return nil
		}
		switch op + " " + name {
		case "open d/two", "symlink d/zlink":
			write(t, filepath.Join(data, name), "another")
		case "mkdir d/sub":
			write(t, filepath.Join(data, name, "other"), "another")
		}
		return nil
	}
	sent, got, sendErr, recvErr := run(t, t.Context(), []string{filepath.Join(src, "d")}, ReceiveOptions{Dir: dst, ID: "x", Links: true, check: check})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	want := map[string]string{
		"d/one": "1", "d/two": "another", "d/two (2)": "2", "d/sub/other": "another", "d/sub (2)/a": "3", "d/three/b": "4",
		"d/zlink": "another",
	}
	seen := visible(t, dst)
	if seen["d/zlink (2)"] != "-> one" {
		t.Errorf("the link is %q", seen["d/zlink (2)"])
	}
	delete(seen, "d/zlink (2)")
	if files := filesOf(seen); !maps.Equal(files, want) {
		t.Errorf("there: %q", files)
	}
	if got.Renamed != 3 || sent.Renamed != 3 || got.LeftOut != 0 {
		t.Errorf("%+v and %+v", got, sent)
	}
}

// TestResume_UnrecordedFilesAreRemoved: what a crash has left in the staging folder before the journal recorded it is not
// delivered, even if its source is gone when the transfer continues.
func TestResume_UnrecordedFilesAreRemoved(t *testing.T) {
	src, dst := mixed(t, 2, 5), t.TempDir()
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k"}
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 4<<20); err == nil {
		t.Fatal("was not cut")
	}
	data := filepath.Join(dst, PartialDir, "x", dataDir)
	tops, err := os.ReadDir(data)
	if err != nil || len(tops) != 1 {
		t.Fatal(tops, err)
	}
	write(t, filepath.Join(data, tops[0].Name(), "half of a file"), "half")
	write(t, filepath.Join(data, tops[0].Name(), "new folder/half"), "half")
	write(t, filepath.Join(data, "half"), "half")
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40); err != nil {
		t.Fatal(err)
	}
	if got, want := visible(t, dst), tree(t, filepath.Dir(src)); !maps.Equal(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
}

// TestReplace_OnlyExactNames: a file or folder that the disk finds under the sender's name, but that did not have this very
// name when its folder was listed, is neither replaced nor merged into.
func TestReplace_OnlyExactNames(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for _, name := range []string{"a.txt", "b.txt", "m/f", "d/a.txt", "d/b.txt", "d/sub/x"} {
		write(t, filepath.Join(src, name), "theirs")
	}
	for _, name := range []string{"a.txt", "d/a.txt"} {
		write(t, filepath.Join(dst, name), "mine")
	}
	var once sync.Once
	check := func(op, name string) error {
		if strings.HasPrefix(name, "d/") && op == "rename" { // d was listed
			once.Do(func() {
				write(t, filepath.Join(dst, "d/b.txt"), "mine")
				write(t, filepath.Join(dst, "d/sub/x"), "mine")
			})
		}
		return nil
	}
	choose := func(_ context.Context, name string) Existing {
		if name == "a.txt" { // the receiving folder was listed
			write(t, filepath.Join(dst, "b.txt"), "mine")
			write(t, filepath.Join(dst, "m/f"), "mine")
		}
		return Replace
	}
	var paths []string
	for _, name := range []string{"a.txt", "b.txt", "d", "m"} {
		paths = append(paths, filepath.Join(src, name))
	}
	_, got, sendErr, recvErr := run(t, t.Context(), paths, ReceiveOptions{Dir: dst, ID: "x", Choose: choose, check: check})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	want := map[string]string{
		"a.txt": "theirs", "b.txt": "mine", "b (2).txt": "theirs", "m/f": "mine", "m (2)/f": "theirs",
		"d/a.txt": "theirs", "d/b.txt": "mine", "d/b (2).txt": "theirs", "d/sub/x": "mine", "d/sub (2)/x": "theirs",
	}
	if files := filesOf(visible(t, dst)); !maps.Equal(files, want) {
		t.Errorf("there: %q", files)
	}
	if got.LeftOut != 0 {
		t.Errorf("%+v", got)
	}
	s := &stage{}
	var err error
	if s.inbox, err = os.OpenRoot(dst); err != nil {
		t.Fatal(err)
	}
	defer s.inbox.Close()
	write(t, filepath.Join(dst, "e\u0301"), "")
	for name, want := range map[string]bool{"a.txt": true, "A.txt": false, "A~1.TXT": false, "d/sub": true, "D/sub": false, "\u00e9": true, "e": false} {
		if s.hasExactName(name) != want {
			t.Errorf("%q: %v", name, !want)
		}
	}
}
