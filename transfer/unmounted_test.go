package transfer

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// TestResume_WaitsForTheDisk: a transfer whose data is on a disk that is not mounted does not start over in the folder
// below the mount point, and leaves nothing there. It continues when the disk is back.
func TestResume_WaitsForTheDisk(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("folders have no identity here")
	}
	src := mixed(t, 2, 5)
	dst := filepath.Join(t.TempDir(), "mnt")
	disk := dst + " (disk)"
	if err := os.Mkdir(dst, 0o700); err != nil {
		t.Fatal(err)
	}
	began := ""
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", OnBegin: func(b string) { began = b }}
	first, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 4<<20)
	if err == nil || began == "" {
		t.Fatalf("%v, began in %q", err, began)
	}
	recv.Began, recv.OnBegin = began, func(b string) { t.Errorf("began in %q", b) }
	if err := os.Rename(dst, disk); err != nil {
		t.Fatal(err)
	}
	refused := func(what string) {
		t.Helper()
		_, _, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
		if !errors.Is(recvErr, ErrUnmounted) || !errors.Is(sendErr, ErrUnmounted) || !Passing(recvErr) || !Passing(sendErr) {
			t.Errorf("%s: %v and %v", what, recvErr, sendErr)
		}
	}
	refused("no mount point")
	if err := os.Mkdir(dst, 0o700); err != nil {
		t.Fatal(err)
	}
	refused("an empty mount point")
	if left, err := os.ReadDir(dst); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if err := os.Remove(dst); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(disk, dst); err != nil {
		t.Fatal(err)
	}
	second, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := visible(t, dst), tree(t, filepath.Dir(src)); !maps.Equal(got, want) {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	total := int64(0)
	for _, content := range tree(t, filepath.Dir(src)) {
		total += int64(len(content))
	}
	if moved := first.Moved + second.Moved; moved > total+1<<20 {
		t.Errorf("%d bytes were sent, %d of them twice", moved, moved-total)
	}
}

// TestResume_StartsOverWhereTheDataIsGone: someone has removed what had arrived from the folder in which it began.
func TestResume_StartsOverWhereTheDataIsGone(t *testing.T) {
	src, dst := mixed(t, 2, 5), t.TempDir()
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k"}
	recv.OnBegin = func(b string) { recv.Began = b }
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 4<<20); err == nil {
		t.Fatal("was not cut")
	}
	if err := os.RemoveAll(filepath.Join(dst, PartialDir)); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40); err != nil {
		t.Error(err)
	}
}
