package ui

import (
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"fyne.io/fyne/v2"
)

// Desktop is what the window asks of the system around it.
type Desktop interface {
	// Open shows a file or a folder with the program that the user has for it.
	Open(path string) error
}

// NewDesktop is the real one.
func NewDesktop(a fyne.App) Desktop { return system{a} }

type system struct{ app fyne.App }

// Open hands a file URL of our own making to the system; a peer's text never gets here.
func (s system) Open(path string) error {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if err := s.app.OpenURL(&u); err != nil {
		return fmt.Errorf("no program to show it was found (%w); it is at %s", err, path)
	}
	return nil
}

// mayOpen tells whether a received file gets an Open button: not the types that are programs.
func mayOpen(path string) bool {
	programs := []string{
		"", ".exe", ".com", ".bat", ".cmd", ".msi", ".msp", ".scr", ".pif", ".cpl", ".hta", ".js", ".jse", ".vbs", ".vbe", ".wsf", ".wsh",
		".ps1", ".psm1", ".reg", ".jar", ".sh", ".bash", ".zsh", ".run", ".bin", ".appimage", ".deb", ".rpm", ".flatpakref", ".py", ".pl", ".rb",
		".app", ".command", ".pkg", ".dmg", ".workflow", ".scpt", ".apk", ".iso", ".img", ".vhd", ".vhdx", ".inert", ".html", ".htm", ".svg", ".xhtml",
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return true
	}
	return !slices.Contains(programs, strings.ToLower(filepath.Ext(path)))
}

// Downloads is the folder that received files go to: the user's, as the system names it.
func Downloads() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return filepath.Join(os.TempDir(), "Multipeer")
	}
	if b, err := os.ReadFile(filepath.Join(home, ".config", "user-dirs.dirs")); err == nil {
		for l := range strings.SplitSeq(string(b), "\n") {
			if v, ok := strings.CutPrefix(l, "XDG_DOWNLOAD_DIR="); ok {
				dir := strings.ReplaceAll(strings.Trim(v, `"`), "$HOME", home)
				if filepath.IsAbs(dir) {
					return dir
				}
			}
		}
	}
	return filepath.Join(home, "Downloads")
}
