package privatefile

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func TestCheck_OnlyOwnAndPrivate(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the access list decides there")
	}
	for mode, private := range map[os.FileMode]bool{0o700: true, 0o500: true, 0o600: true, 0o710: false, 0o701: false, 0o755: false, 0o770: false, 0o777: false, 0o720: false} {
		dir := filepath.Join(t.TempDir(), "d")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if got := IsPrivateFolder(dir); got != private {
			t.Errorf("mode %o: %v", mode, got)
		}
	}
	if IsPrivateFolder(filepath.Join(t.TempDir(), "missing")) {
		t.Error("a missing folder is private")
	}
}

// TestCheck_OthersFolder needs root, who can open what belongs to others.
func TestCheck_OthersFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, owner := range []int{1, 65534, 4294967} {
		if err := os.Chown(dir, owner, 0); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(dir)
		if err != nil {
			t.Fatal(err)
		}
		if err := Check(dir, info); err == nil || !strings.Contains(err.Error(), "belongs to another user") || IsPrivateFolder(dir) {
			t.Errorf("a folder of user %d: %v", owner, err)
		}
	}
}
