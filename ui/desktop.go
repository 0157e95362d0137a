package ui

import (
	"context"
	"image"
	"net/url"

	"multipeer/ui/internal/desktop"
)

// Desktop is what the window needs from the system around it. Its methods may block and are called in the background,
// except for HasTray, and those that read or write a setting of the system.
type Desktop interface {
	// Open opens a file or a folder with the user's default program for it.
	Open(path string) error
	// Reveal shows the folder of a file, with the file selected where the system supports it.
	Reveal(path string) error
	// OpenLink opens a page in the browser.
	OpenLink(page *url.URL) error
	// Pick lets the user choose files, or one folder. An empty result means that the user cancelled; ErrNoPicker
	// means that the system has no file dialog.
	Pick(ctx context.Context, folder bool) ([]string, error)
	// Notify shows a notification. Its text is data, never markup or part of a script, because it may contain a peer's
	// name.
	Notify(ctx context.Context, n desktop.Notice) error
	// ShowProgress shows progress in the dock or the task bar, from 0 to 1; a negative value hides it.
	ShowProgress(part float64) error
	// ClipboardPicture returns the picture in the clipboard as PNG.
	ClipboardPicture(ctx context.Context) ([]byte, error)
	// SetClipboardPicture puts a picture, as PNG, into the clipboard.
	SetClipboardPicture(ctx context.Context, png []byte) error
	// CopyFiles puts files into the clipboard, and calls copied, on any goroutine, once they are there. It returns when the
	// clipboard no longer needs this program, or when ctx ends. errors.ErrUnsupported means that the system's clipboard
	// cannot hold files.
	CopyFiles(ctx context.Context, paths []string, copied func()) error
	// DragFiles lets the user drop files on another program, while the first mouse button is held. window is the handle
	// of this program's window. It returns after the drop. errors.ErrUnsupported means that the system has no such drags.
	DragFiles(ctx context.Context, window uintptr, paths []string, picture image.Image) error
	// HasTray reports whether the desktop shows tray icons.
	HasTray() bool
	// Login reports whether the program starts at login. An error means that this system does not support it.
	Login() (bool, error)
	SetLogin(on bool) error
	// FileManager reports whether the system's file manager offers to send files with this program, and multipeer: links
	// open it. An error means that the program cannot set this up itself on this system.
	FileManager() (bool, error)
	SetFileManager(on bool) error
}

var _ Desktop = (*desktop.System)(nil)

// desktopTexts returns the strings that the desktop shows for this program, in the current language.
func desktopTexts() desktop.Texts {
	return desktop.Texts{Show: tr("Show"), PickFiles: tr("Choose files to send"), PickFolder: tr("Choose a folder")}
}
