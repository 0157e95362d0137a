package transfer

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
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
