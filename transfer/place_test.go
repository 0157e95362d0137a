package transfer

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// received receives one file by Receive, and one by an Intake, and returns what is in the folder then.
func received(t *testing.T, dir string, at Place) (err error) {
	t.Helper()
	src := filepath.Join(t.TempDir(), "authorized_keys")
	write(t, src, "x")
	_, _, sendErr, recvErr := runWith(t, t.Context(), SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dir, Place: at})
	if recvErr != nil && !errors.Is(sendErr, ErrUnmounted) {
		t.Errorf("the sender reports %v", sendErr)
	}
	in, intakeErr := OpenIntake(IntakeOptions{Dir: dir, Place: at})
	if intakeErr == nil {
		_, intakeErr = in.Receive(t.Context(), Part{Path: "authorized_keys", Size: 1}, io.Reader(strings.NewReader("x")))
		_, finishErr := in.Finish()
		intakeErr = errors.Join(intakeErr, finishErr)
		in.Close()
	}
	if (intakeErr == nil) != (recvErr == nil) {
		t.Errorf("Receive reports %v, the Intake %v", recvErr, intakeErr)
	}
	return recvErr
}

// TestPlace_FolderThatLeadsElsewhereGetsNothing checks that neither a link in the path of a receiving folder, nor another
// folder in its place, gets what arrives.
func TestPlace_FolderThatLeadsElsewhereGetsNothing(t *testing.T) {
	home := t.TempDir()
	inbox, private := filepath.Join(home, "shared", "inbox"), filepath.Join(home, "private")
	for _, dir := range []string{inbox, filepath.Join(private, "inbox")} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	at, err := PlaceOf(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := received(t, inbox, at); err != nil {
		t.Fatalf("in its place: %v", err)
	}
	for _, link := range []string{inbox, filepath.Dir(inbox)} { // the folder itself, and one above it
		target := private
		if link == inbox {
			target = filepath.Join(private, "inbox")
		}
		if err := errors.Join(os.Rename(link, link+" (old)"), os.Symlink(target, link)); err != nil {
			t.Fatal(err)
		}
		if err := received(t, inbox, at); !errors.Is(err, ErrUnmounted) {
			t.Errorf("%s is a link: %v", link, err)
		}
		if err := errors.Join(os.Remove(link), os.Rename(link+" (old)", link)); err != nil {
			t.Fatal(err)
		}
	}
	if got := names(t, private); len(got) > 0 {
		t.Errorf("received: %q", got)
	}
	if err := os.RemoveAll(inbox); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(MakeFolder(inbox, at), received(t, inbox, at)); err != nil {
		t.Errorf("a folder that was removed is made again: %v", err)
	}
}

// TestPlace_OfADiskThatIsNotMountedGetsNothing checks that the folder below a mount point gets nothing, and is not created.
func TestPlace_OfADiskThatIsNotMountedGetsNothing(t *testing.T) {
	if _, known := deviceOfFolder(t, t.TempDir()); !known {
		t.Skip("disks have no numbers here")
	}
	disk := t.TempDir()
	inbox := filepath.Join(disk, "inbox")
	now, err := findPlace(disk)
	if err != nil {
		t.Fatal(err)
	}
	mounted := place{filepath.Join(now.path, "inbox"), now.path, now.owner}.encode() // a disk was mounted at the folder
	if err := MakeFolder(inbox, mounted); !errors.Is(err, ErrUnmounted) {
		t.Errorf("the folder is made: %v", err)
	}
	if _, err := os.Lstat(inbox); err == nil {
		t.Error("the folder is there")
	}
	if err := received(t, inbox, mounted); !errors.Is(err, ErrUnmounted) {
		t.Errorf("a folder that is missing: %v", err)
	}
	if err := os.Mkdir(inbox, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := received(t, inbox, mounted); !errors.Is(err, ErrUnmounted) {
		t.Errorf("a folder below the mount point: %v", err)
	}
	if left, err := os.ReadDir(inbox); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func deviceOfFolder(t *testing.T, dir string) (uint64, bool) {
	t.Helper()
	info, err := os.Lstat(dir)
	if err != nil {
		t.Fatal(err)
	}
	return deviceOf(info)
}

// TestPlace_FolderOfAnotherUserGetsNothing checks that a folder that another user puts in the place of ours gets nothing.
func TestPlace_FolderOfAnotherUserGetsNothing(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	inbox := filepath.Join(t.TempDir(), "inbox")
	if err := os.Mkdir(inbox, 0o777); err != nil {
		t.Fatal(err)
	}
	at, err := PlaceOf(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(inbox, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := received(t, inbox, at); !errors.Is(err, ErrUnmounted) {
		t.Errorf("a folder of another user: %v", err)
	}
	theirs, err := PlaceOf(inbox)
	if err != nil {
		t.Fatal(err)
	}
	if err := received(t, inbox, theirs); err != nil {
		t.Errorf("a folder of another user that was chosen: %v", err)
	}
}

func TestPlace_OnlyWhatPlaceOfReturns(t *testing.T) {
	dir := t.TempDir()
	for _, text := range []string{"x", "1:zz::0", "2:2f:2f:0", "1:2f:zz:0", ":::"} {
		if err := MakeFolder(dir, Place(text)); !errors.Is(err, errBadPlace) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := PlaceOf(filepath.Join(dir, "nothing")); err == nil {
		t.Error("a folder that does not exist has a place")
	}
}

// TestCheckFolder_StagingFolderOfAnotherUser checks that a program learns at its start that another user is in the way of
// everything that will arrive.
func TestCheckFolder_StagingFolderOfAnotherUser(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	dir := t.TempDir()
	if err := CheckFolder(dir); err != nil {
		t.Fatal(err)
	}
	hidden := filepath.Join(dir, PartialDir)
	if err := os.Mkdir(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := CheckFolder(dir); err != nil {
		t.Errorf("with a staging folder of this user: %v", err)
	}
	if err := os.Chown(hidden, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if err := CheckFolder(dir); !errors.Is(err, ErrDenied) || !strings.Contains(err.Error(), "another user") {
		t.Errorf("with one of another user: %v", err)
	}
}
