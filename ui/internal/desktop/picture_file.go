//go:build darwin || windows

package desktop

import (
	"os"
	"path/filepath"
)

// pictureFile writes a picture to a file that a script reads. The caller removes the folder.
func pictureFile(png []byte) (dir, path string, err error) {
	dir, err = os.MkdirTemp("", "multipeer")
	if err != nil {
		return "", "", err
	}
	path = filepath.Join(dir, "clipboard.png")
	if err := os.WriteFile(path, png, 0o600); err != nil {
		_ = os.RemoveAll(dir)
		return "", "", err
	}
	return dir, path, nil
}
