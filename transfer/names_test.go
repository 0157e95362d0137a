package transfer

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"multipeer/internal/invisible"
)

// TestNames_CollidingOnesAreAllKept: names that become equal when rewritten are numbered, in each folder, and each is
// noted once.
func TestNames_CollidingOnesAreAllKept(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("such names are available on Linux")
	}
	src, dst := filepath.Join(t.TempDir(), `top?`), t.TempDir()
	files := []string{`a\b`, `a_b`, `a?b`, `a*b`, `A_B`, `in:ner/a\b`, `in:ner/a_b`, `in_ner/x`, `in_ner/a\b`, `C:`, `c_`}
	for _, f := range files {
		write(t, filepath.Join(src, f), f)
	}
	for _, existing := range []Existing{KeepBoth, Replace} {
		sent, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Existing: existing})
		if sendErr != nil || recvErr != nil {
			t.Fatal(sendErr, recvErr)
		}
		if got.Files != int64(len(files)) || got.LeftOut != 0 || sent.Renamed != got.Renamed {
			t.Errorf("%+v", got)
		}
		for side, r := range map[string]Result{"sender": sent, "receiver": got} {
			var noted []string
			for _, n := range r.Notes {
				noted = append(noted, n.Path)
			}
			slices.Sort(noted)
			if unique := slices.Compact(slices.Clone(noted)); len(unique) != len(noted) {
				t.Errorf("%s: reported twice: %q", side, noted)
			}
		}
	}
	var content []string
	for p, v := range visible(t, dst) {
		if strings.HasPrefix(p, "top_/") && !strings.HasSuffix(v, "/") {
			content = append(content, v[strings.Index(v, " ")+1:])
		}
	}
	slices.Sort(content)
	slices.Sort(files)
	if !slices.Equal(content, files) {
		t.Errorf("there: %q", content)
	}
}

// TestNames_RenamedFolderIsOneNote: a renamed folder is one note, however many files are in it.
func TestNames_RenamedFolderIsOneNote(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("such a name is not available there")
	}
	for _, at := range []string{"", "below/"} {
		base, dst := t.TempDir(), t.TempDir()
		src := filepath.Join(base, at, "Pictures ")
		for i := range 1500 {
			write(t, filepath.Join(src, "f"+string(rune('a'+i%26))+strings.Repeat("x", i/26)), "x")
		}
		top := filepath.Join(base, strings.TrimSuffix(at, "/"))
		if at == "" {
			top = src
		}
		sent, got, sendErr, recvErr := run(t, t.Context(), []string{top}, ReceiveOptions{Dir: dst})
		if sendErr != nil || recvErr != nil || len(got.Notes) != 1 || len(sent.Notes) != 1 || got.Renamed != 1 {
			t.Errorf("%v, %v: %d and %d notes", sendErr, recvErr, len(sent.Notes), len(got.Notes))
		}
	}
}

// TestNames_UpToTheLimitOfTheDiskAreKept: names of up to 255 bytes are kept, and stay within that when numbered.
func TestNames_UpToTheLimitOfTheDiskAreKept(t *testing.T) {
	for _, n := range []int{200, 201, 230, 250, 255} {
		src, dst := t.TempDir(), t.TempDir()
		name := strings.Repeat("n", n-4) + ".txt"
		write(t, filepath.Join(src, name), "x")
		for i := range 2 {
			_, got, _, err := run(t, t.Context(), []string{filepath.Join(src, name)}, ReceiveOptions{Dir: dst})
			if err != nil || i == 0 && (got.Saved[0] != name || got.Renamed != 0) || i == 1 && (len(got.Saved[0]) > 255 || !strings.HasSuffix(got.Saved[0], " (2).txt")) {
				t.Errorf("%d bytes: saved as %q, %v", n, got.Saved, err)
			}
		}
	}
}

// TestTimes_AreKeptAsTheDiskAllows covers times before 1980 and in the future, to the nanosecond if the disk keeps it.
func TestTimes_AreKeptAsTheDiskAllows(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	times := map[string]time.Time{
		"1969": time.Date(1969, 7, 20, 20, 17, 40, 500, time.UTC), "1970": time.Unix(0, 1), "1931": time.Date(1931, 1, 1, 0, 0, 0, 0, time.UTC),
		"2037": time.Date(2037, 12, 31, 0, 0, 0, 0, time.UTC), "2060": time.Date(2060, 1, 1, 0, 0, 0, 0, time.UTC), "2261": time.Date(2261, 1, 1, 0, 0, 0, 0, time.UTC),
		"1601": time.Date(1601, 1, 1, 0, 0, 0, 0, time.UTC), "2500": time.Date(2500, 1, 1, 0, 0, 0, 0, time.UTC),
	}
	want := map[string]time.Time{}
	for name, at := range times {
		p := filepath.Join(src, name)
		write(t, p, "x")
		_ = os.Chtimes(p, time.Time{}, at)
		if info, err := os.Stat(p); err == nil {
			want[name] = info.ModTime() // what the source's disk keeps
		}
	}
	sent, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	for name, at := range want {
		info, err := os.Stat(filepath.Join(dst, "src", name))
		if err != nil {
			t.Error(err)
			continue
		}
		noted := slices.ContainsFunc(got.Notes, func(n Note) bool { return n.Path == "src/"+name })
		if kept := info.ModTime().Equal(at); !kept && !noted {
			t.Errorf("%s: %v became %v, and nobody reports it", name, at, info.ModTime())
		}
	}
	if sent.Unkept != got.Unkept {
		t.Errorf("the sender knows of %d, the receiver of %d", sent.Unkept, got.Unkept)
	}
	// A time that no disk can store is noted.
	a, b := newPipe()
	hostileSend(a, putRecord(nil, recEntry, entry{path: "f", modTime: time.Unix(1<<40, 0)}.encode("")), putRecord(nil, recData, counts(0, 0)), putRecord(nil, recFileEnd), endRecord(1, 0, 0))
	got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst})
	if err != nil || got.Unkept != 1 {
		t.Errorf("the year 36812: %v, %+v", err, got)
	}
}

// TestNames_RepositoriesAreInert: a received folder is not a repository for any program that a shell prompt runs, at
// any depth, and neither is the receiving folder.
func TestNames_RepositoriesAreInert(t *testing.T) {
	for _, name := range []string{".git", ".Git", ".GIT", ".hg", ".sl", ".jj", "HEAD", "head", "git~1", "GIT~12", "hg~1", ".ſl", "x.{ED7BA470-8E54-465E-825C-99712043E01C}"} {
		if got := portable(name, false, maxName); got != name+InertSuffix {
			t.Errorf("%q is saved as %q", name, got)
		}
		if got := portable(name, true, maxName); ofVersionControl(collisionKey(newPlan().fold, got)) {
			t.Errorf("%q is saved as %q at the top", name, got)
		}
		if got := portable(name+InertSuffix, false, maxName); got != name+InertSuffix {
			t.Errorf("%q gets another name in the next attempt: %q", name+InertSuffix, got)
		}
	}
	for _, name := range []string{".g\u200Cit", ".g\u206Ait", ".git ", ".git."} { // some file systems take them for .git
		if got := portable(name, false, maxName); !strings.Contains(got, "_") {
			t.Errorf("%q is saved as %q", name, got)
		}
	}
	for _, name := range []string{".gitignore", ".gitattributes", "config", "objects", "refs", "headers", "HEAD.txt", "git", "a~1", ".envrc", ".vscode", "x.{1}"} {
		if got := portable(name, false, maxName); got != name {
			t.Errorf("%q is saved as %q", name, got)
		}
	}
}

// TestNames_RepositoryIsOneNote: a repository is one note, and each HEAD is one, on both sides. It resumes under the
// same names.
func TestNames_RepositoryIsOneNote(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "photos"), t.TempDir()
	for _, f := range []string{".git/config", ".git/objects/ab/cd", ".git/refs/heads/main", "a.jpg", "z/.hg/hgrc"} {
		write(t, filepath.Join(src, f), f)
	}
	random(t, filepath.Join(src, "b.bin"), 3<<20, 1)
	write(t, filepath.Join(src, ".git/HEAD"), "ref: refs/heads/main")
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k"}
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, opts, 2<<20); err == nil {
		t.Fatal("was not cut")
	}
	sent, got, _, err := attempt(t, SendOptions{Paths: []string{src}}, opts, 1<<40)
	if err != nil || got.Renamed != 3 || len(sent.Notes) != 3 {
		t.Errorf("%v: %d renamed, %v", err, got.Renamed, sent.Notes)
	}
	there := visible(t, dst)
	for _, f := range []string{".git.inert/config", ".git.inert/HEAD.inert", ".git.inert/objects/ab/cd", "z/.hg.inert/hgrc", "a.jpg"} {
		if _, ok := there["photos/"+f]; !ok {
			t.Errorf("%s is missing", f)
		}
	}
}

// TestPlan_CollidingNamesTakeNoTime: thousands of names that differ only in case cost no more than other names.
func TestPlan_CollidingNamesTakeNoTime(t *testing.T) {
	p := newPlan()
	i := 0
	add := func() {
		name := []byte("aaaaaaaaaaaaaaaaaaaa")
		for bit := range name {
			if i>>bit&1 == 1 {
				name[bit] = 'A'
			}
		}
		saved, err := p.add(string(name), false, "")
		if i++; err != nil || i > 1 && saved != fmt.Sprintf("%s (%d)", name, i) {
			t.Fatalf("number %d is saved as %q, %v", i, saved, err)
		}
	}
	for range 5000 {
		add()
	}
	if n := testing.AllocsPerRun(10, add); n > 100 {
		t.Errorf("one more name takes %.0f allocations", n)
	}
}

// TestName_InvisibleCharactersAreRemoved: two names must not look alike because of a character that nobody sees.
func TestName_InvisibleCharactersAreRemoved(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if invisible.Breaks(r) && strings.ContainsRune(portable("rep"+string(r)+"ort.pdf", true, maxName), r) {
			t.Errorf("%U is kept", r)
		}
	}
	for _, name := range []string{"👨\u200d👩\u200d👧.jpg", "❤\ufe0f.txt", "می\u200cخواهم"} {
		if got := portable(name, true, maxName); got != name {
			t.Errorf("%q becomes %q", name, got)
		}
	}
}

// TestPlan_CutNamesTakeNoTime: names that collide only when they are cut to make room for a number cost no more either.
func TestPlan_CutNamesTakeNoTime(t *testing.T) {
	p := newPlan()
	i := 0
	add := func() {
		for _, last := range []string{"a", "A"} { // the second of each pair gets a number
			name := strings.Repeat("s", 250) + fmt.Sprintf("%04d", i) + last
			if _, err := p.add(name, false, ""); err != nil {
				t.Fatal(err)
			}
		}
		i++
	}
	for range 3000 {
		add()
	}
	if n := testing.AllocsPerRun(10, add); n > 200 {
		t.Errorf("one more pair takes %.0f allocations", n)
	}
}

// TestPlan_AnnouncedNumbersTakeNoTime: nor do they if the sender has announced the first thousand numbers itself.
func TestPlan_AnnouncedNumbersTakeNoTime(t *testing.T) {
	p := newPlan()
	for n := 2; n < 1000; n++ {
		if _, err := p.add(fmt.Sprintf("aaaaaaaaaaaaaaaa (%d)", n), false, ""); err != nil {
			t.Fatal(err)
		}
	}
	i := 0
	add := func() {
		name := []byte("aaaaaaaaaaaaaaaa")
		for bit := range name {
			if i>>bit&1 == 1 {
				name[bit] = 'A'
			}
		}
		if _, err := p.add(string(name), false, ""); err != nil {
			t.Fatal(err)
		}
		i++
	}
	for range 10 {
		add()
	}
	if n := testing.AllocsPerRun(10, add); n > 100 {
		t.Errorf("one more name takes %.0f allocations", n)
	}
}
