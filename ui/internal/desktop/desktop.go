// Package desktop is the window's access to the desktop: opening files, the system's file dialog, notifications, the
// clipboard, the tray and starting at login. It does not depend on the window: it gets strings and functions.
package desktop

import (
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"multipeer/internal/autostart"

	"fyne.io/fyne/v2"
)

var (
	// ErrNoPicker means that the system has no file dialog.
	ErrNoPicker = errors.New("the system has no file dialog")
	// ErrNoPicture means that the clipboard holds no picture.
	ErrNoPicture = errors.New("there is no picture in the clipboard")
)

// Texts are the strings that the desktop shows for the window.
type Texts struct {
	Show       string // the button of a notification
	PickFiles  string // the title of the file dialog
	PickFolder string // the title of the dialog for a folder
}

// Notice is a notification. Its text is plain text, and may contain a peer's name.
type Notice struct {
	Title, Body string
	Sound       string   // a name of the Sound Naming Specification, for desktops that support it; empty for the default sound
	Buttons     []Button // shown if the desktop supports them
}

// Button is a button of a notification. Do may run on any goroutine.
type Button struct {
	Label string
	Do    func()
}

// System is the desktop that the program runs on. Its methods may block, except for HasTray, and those that read or
// write a setting of the system.
type System struct {
	app     fyne.App
	texts   func() Texts
	clicked func()
	dock    dock
}

// New returns the desktop of the running system. It calls clicked, on any goroutine, when the user clicks a
// notification. It calls texts whenever it needs them, because the language may change.
func New(a fyne.App, texts func() Texts, clicked func()) *System {
	return &System{app: a, texts: texts, clicked: clicked}
}

// Open passes a file URL that this program built to the system; text from a peer never gets here.
func (s *System) Open(path string) error {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	if err := s.app.OpenURL(&u); err != nil {
		return fmt.Errorf("no program was found to open the file or folder (%w); it is at %s", err, path)
	}
	return nil
}

// OpenLink opens only web pages, because other schemes start programs on some systems.
func (s *System) OpenLink(page *url.URL) error {
	if page.Scheme != "http" && page.Scheme != "https" {
		return fmt.Errorf("a link with the scheme %q is not a web page", page.Scheme)
	}
	return s.app.OpenURL(page)
}

// atLogin starts the window hidden, so that it is not in the way.
var atLogin = autostart.Entry{Args: []string{"-hidden"}}

// Login reports whether the window starts at login.
func (s *System) Login() (bool, error) { return atLogin.On() }

// SetLogin sets whether the window starts at login.
func (s *System) SetLogin(on bool) error { return atLogin.Set(on) }

// MayOpen reports whether a received file gets an Open button. Documents, media, archives and folders do; programs, and
// files that run programs, never do.
func MayOpen(path string) bool {
	ext := strings.ToLower(filepath.Ext(path))
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		bundles := []string{".app", ".pkg", ".mpkg", ".workflow", ".action", ".bundle", ".plugin", ".framework", ".prefpane", ".scptd", ".saver", ".qlgenerator", ".kext", ".component", ".xpc"}
		return !slices.Contains(bundles, ext) // macOS runs these folders as programs
	}
	return slices.Contains([]string{
		".jpg", ".jpeg", ".png", ".gif", ".webp", ".heic", ".heif", ".avif", ".bmp", ".tif", ".tiff", ".raw", ".dng",
		".mp3", ".m4a", ".aac", ".flac", ".ogg", ".oga", ".opus", ".wav", ".aif", ".aiff", ".mid",
		".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ogv", ".3gp",
		".txt", ".md", ".csv", ".tsv", ".log", ".srt", ".pdf", ".epub", ".odt", ".ods", ".odp", ".docx", ".xlsx", ".pptx", ".rtf", ".ics", ".vcf", ".gpx",
		".zip", ".7z", ".tar", ".gz", ".tgz", ".xz", ".bz2", ".zst",
	}, ext)
}

// Downloads returns the user's download folder, as configured on the system.
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
