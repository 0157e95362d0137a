package ui

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"multipeer/engine"
	"multipeer/internal/rawpath"
	"multipeer/transfer"
)

// TestFolderPlaces_RememberTheFirst checks that a folder that was replaced later is not taken for the one that was chosen, in
// this run or an earlier one.
func TestFolderPlaces_RememberTheFirst(t *testing.T) {
	dir := t.TempDir()
	inbox, elsewhere := filepath.Join(dir, "inbox"), filepath.Join(dir, "elsewhere")
	if err := errors.Join(os.Mkdir(inbox, 0o700), os.Mkdir(elsewhere, 0o700)); err != nil {
		t.Fatal(err)
	}
	var places folderPlaces
	if got := places.of(filepath.Join(dir, "missing")); got != "" {
		t.Errorf("a folder that does not exist is at %q", got)
	}
	chosen := places.of(inbox)
	if chosen == "" {
		t.Fatal("the folder has no place")
	}
	if err := errors.Join(os.Remove(inbox), os.Symlink(elsewhere, inbox)); err != nil {
		t.Fatal(err)
	}
	if got := places.of(inbox); got != chosen {
		t.Errorf("it is at %q now, and was chosen at %q", got, chosen)
	}
	s := newStage(t, nil)
	s.o.Settings.Downloads, s.o.Settings.DownloadsPlace = rawpath.Path(inbox), string(chosen)
	if got := newTransfers(s.UI).places.of(inbox); got != chosen {
		t.Errorf("the next run takes it to be at %q", got)
	}
}

// TestStalled_SaysThatTheFolderIsMissing checks that the window says why files wait, and what to do.
func TestStalled_SaysThatTheFolderIsMissing(t *testing.T) {
	newTestApp(t)
	tr := engine.Transfer{State: engine.Stalled, Incoming: true, PeerName: "Ben", Err: transfer.ErrUnmounted}
	if got, want := stalled(tr), "The folder for these files is no longer there. Connect its disk, or remove what has taken its place."; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
