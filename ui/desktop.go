package ui

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"multipeer/internal/login"

	"fyne.io/fyne/v2"
)

// Desktop is what the window asks of the system around it. Its methods may block and are called in the background, but
// for HasTray, Login and SetLogin.
type Desktop interface {
	// Open shows a file or a folder with the program that the user has for it.
	Open(path string) error
	// Reveal shows the folder that a file is in, with the file selected where the system can.
	Reveal(path string) error
	// OpenLink shows a page in the browser.
	OpenLink(page *url.URL) error
	// Pick lets the user choose files, or one folder. An empty choice is a cancelled one; errNoPicker says that the system
	// has no dialog of its own.
	Pick(ctx context.Context, folder bool) ([]string, error)
	// Notify tells the user something, with words that are ours alone.
	Notify(ctx context.Context, title, body string) error
	// ClipboardPicture is the picture in the clipboard, as PNG.
	ClipboardPicture(ctx context.Context) ([]byte, error)
	// HasTray tells whether something draws tray icons.
	HasTray() bool
	// Login tells whether the program starts at login; an error says that it cannot be told here.
	Login() (bool, error)
	SetLogin(on bool) error
}

var (
	errNoPicker  = errors.New("the system has no dialog for files")
	errNoPicture = errors.New("there is no picture in the clipboard")
)

// NewDesktop is the real one. clicked is called, on any goroutine, when the user clicks a notification.
func NewDesktop(a fyne.App, clicked func()) Desktop { return &system{app: a, clicked: clicked} }

type system struct {
	app     fyne.App
	clicked func()
}

// Open hands a file URL of our own making to the system; a peer's text never gets here.
func (s *system) Open(path string) error {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if err := s.app.OpenURL(&u); err != nil {
		return fmt.Errorf("no program to show it was found (%w); it is at %s", err, path)
	}
	return nil
}

// OpenLink opens nothing but pages: other schemes start programs on some systems.
func (s *system) OpenLink(page *url.URL) error {
	if page.Scheme != "http" && page.Scheme != "https" {
		return fmt.Errorf("%q is no page", page.Scheme)
	}
	return s.app.OpenURL(page)
}

// atLogin starts the window where it is in nobody's way.
var atLogin = login.Entry{Args: []string{"-hidden"}}

// Login tells whether the window starts at login.
func (s *system) Login() (bool, error) { return atLogin.On() }

// SetLogin has the window start at login, or not.
func (s *system) SetLogin(on bool) error { return atLogin.Set(on) }

// mayOpen tells whether a received file gets an Open button: types that are looked at or listened to, never programs nor
// what runs some.
func mayOpen(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		bundles := []string{".app", ".pkg", ".mpkg", ".workflow", ".action", ".bundle", ".plugin", ".framework", ".prefpane", ".scptd", ".saver", ".qlgenerator", ".kext", ".component", ".xpc"}
		return !slices.Contains(bundles, ext) // a folder that macOS runs
	}
	return slices.Contains([]string{
		".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff", ".raw", ".dng",
		".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wav", ".aif", ".aiff", ".mid",
		".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".3gp",
		".txt", ".md", ".csv", ".tsv", ".log", ".srt", ".pdf", ".epub", ".odt", ".ods", ".odp", ".docx", ".xlsx", ".pptx", ".rtf", ".ics", ".vcf", ".gpx",
		".zip", ".7z", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".zst",
	}, ext)
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
