package transfer

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestStaging_DisksWithoutModesAreUsed: such a disk gives all files the owner and the mode that it was mounted with.
func TestStaging_DisksWithoutModesAreUsed(t *testing.T) {
	for _, program := range []string{"mkntfs", "ntfs-3g"} {
		if _, err := exec.LookPath(program); err != nil || os.Getuid() != 0 {
			t.Skip("no disk without modes can be made: ", err)
		}
	}
	image, src := filepath.Join(t.TempDir(), "image"), filepath.Join(t.TempDir(), "f")
	write(t, src, "payload")
	command(t, "truncate -s 64M %s", image)
	command(t, "mkntfs -q -F %s", image)
	for _, options := range []string{"umask=000", "uid=65534,umask=000", "uid=65534,umask=022", "fmask=0177,dmask=000", "uid=65534,fmask=0137,dmask=000"} {
		dir := t.TempDir()
		command(t, "ntfs-3g -o %s %s %s", options, image, dir)
		if _, _, _, err := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dir, Reserve: -1}); err != nil {
			t.Errorf("%s: %v", options, err)
		}
		unmount(t, dir)
	}
}
