package engine_test

import (
	"path/filepath"
	"testing"

	"multipeer/engine"
)

func TestFreeSpace_OfAMissingFolder(t *testing.T) {
	dir := t.TempDir()
	here, err := engine.FreeSpace(dir)
	if err != nil || here == 0 {
		t.Fatal(here, err)
	}
	if there, err := engine.FreeSpace(filepath.Join(dir, "a", "b")); err != nil || there == 0 {
		t.Error(there, err)
	}
}
