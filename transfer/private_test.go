package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestListing_LeavesOutWhatIsPrivate checks that a profile and incomplete files inside a folder are left out by name, and
// that they cannot be sent on their own.
func TestListing_LeavesOutWhatIsPrivate(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{
		"home/profile/identity.key", "home/profile/identity.crt", "home/profile/spool/1", "home/.multipeer-partial/1/data/movie",
		"home/keys/identity.key", "home/folders/identity.key/file", "home/folders/identity.crt/file", "home/notes",
	} {
		p := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(p), 0o700), os.WriteFile(p, []byte("x"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	l, err := NewListing([]string{filepath.Join(dir, "home")}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := l.Fill(t.Context(), nil)
	if err != nil || s.LeftOut != 2 || s.Files != 4 {
		t.Errorf("%+v, %v", s, err)
	}
	var leftOut []string
	err = l.each(context.Background(), func(e listed) error {
		if e.why != 0 {
			leftOut = append(leftOut, e.path+": "+reasonErr(e.why).Error())
		}
		return nil
	})
	want := []string{"home/.multipeer-partial: " + ErrPrivate.Error(), "home/profile: " + ErrPrivate.Error()}
	if err != nil || !slices.Equal(leftOut, want) {
		t.Errorf("left out: %q, %v", leftOut, err)
	}
	for name, private := range map[string]bool{
		"profile": true, "profile/identity.key": true, "profile/identity.crt": true, "profile/spool/1": false,
		".multipeer-partial": true, ".multipeer-partial/1/data/movie": true,
		"keys/identity.key": false, "notes": false, "folders": false,
	} {
		_, err := NewListing([]string{filepath.Join(dir, "home", filepath.FromSlash(name))}, ListOptions{})
		if errors.Is(err, ErrPrivate) != private || !private && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSource_LinkInsideTheFolderIsNotFollowed checks that a link which another user puts in place of a folder, after it was
// listed, does not lead to what the sender leaves out, such as the private key, and that this is reported.
func TestSource_LinkInsideTheFolderIsNotFollowed(t *testing.T) {
	for _, target := range []string{"../cfg", "cfg"} {
		for _, existing := range []Existing{KeepBoth, SkipIdentical} {
			home, dst := filepath.Join(t.TempDir(), "home"), t.TempDir()
			for name, text := range map[string]string{
				"cfg/identity.key": "SECRET", "cfg/identity.crt": "x", "pub/cfg/identity.key": "SECRET", "pub/cfg/identity.crt": "x",
				"pub/x/identity.key": "public", "pub/x/more": "public",
			} {
				write(t, filepath.Join(home, name), text)
			}
			l, err := NewListing([]string{home}, ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Fill(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			x := filepath.Join(home, "pub/x")
			if err := errors.Join(os.Rename(x, x+" (old)"), os.Symlink(target, x)); err != nil {
				t.Skip("no links here:", err)
			}
			sent, _, _, _ := runWith(t, t.Context(), SendOptions{Listing: l}, ReceiveOptions{Dir: dst, Existing: existing})
			for name, is := range filesOf(visible(t, dst)) {
				if strings.Contains(is, "SECRET") {
					t.Errorf("%s arrived as %q", name, is)
				}
			}
			if sent.LeftOut < 4 {
				t.Errorf("only %d are left out", sent.LeftOut)
			}
			late := newSource(l.tops) // the receiver asks for content long after its folder was announced
			if f, it := late.openFile("home/pub/x/identity.key"); f != nil || !errors.Is(it.err, ErrVanished) && !errors.Is(it.err, ErrUnreadable) {
				t.Errorf("%s: opened %v, %v", target, f, it.err)
			}
			late.close()
		}
	}
}
