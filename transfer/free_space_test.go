package transfer

import (
	"path/filepath"
	"testing"
)

func TestFreeSpace_OfAMissingFolder(t *testing.T) {
	dir := t.TempDir()
	here, err := FreeSpace(dir)
	if err != nil || here == 0 {
		t.Fatal(here, err)
	}
	if there, err := FreeSpace(filepath.Join(dir, "a", "b")); err != nil || there == 0 {
		t.Error(there, err)
	}
}
