//go:build unix

package transfer

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestReceive_ExecutableKeepsTheUmask: an executable file is as private as the others.
func TestReceive_ExecutableKeepsTheUmask(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	src, dst := t.TempDir(), t.TempDir()
	paths := []string{filepath.Join(src, "run"), filepath.Join(src, "plain")}
	for i, mode := range []os.FileMode{0o700, 0o600} {
		if err := os.WriteFile(paths[i], []byte("secret"), mode); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, e1, e2 := run(t, t.Context(), paths, ReceiveOptions{Dir: dst, Reserve: -1, KeepExec: true}); e1 != nil || e2 != nil {
		t.Fatal(e1, e2)
	}
	for name, want := range map[string]os.FileMode{"run": 0o700, "plain": 0o600} {
		info, err := os.Stat(filepath.Join(dst, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}
