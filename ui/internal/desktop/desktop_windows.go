package desktop

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// This file uses PowerShell with constant scripts. Variable input is passed in environment variables, never as part
// of a script.

// HasTray always reports true.
func (s *System) HasTray() bool { return true }

func powershell(ctx context.Context, script string, env ...string) ([]byte, error) {
	c := exec.CommandContext(ctx, "powershell.exe", "-NoProfile", "-NonInteractive", "-STA", "-Command", script)
	c.Env = append(os.Environ(), env...)
	c.SysProcAttr = &syscall.SysProcAttr{HideWindow: true}
	return c.Output()
}

const toastScript = `[Windows.UI.Notifications.ToastNotificationManager, Windows.UI.Notifications, ContentType = WindowsRuntime] > $null
$x = [Windows.UI.Notifications.ToastNotificationManager]::GetTemplateContent([Windows.UI.Notifications.ToastTemplateType]::ToastText02)
$t = $x.GetElementsByTagName('text')
$t.Item(0).AppendChild($x.CreateTextNode($env:MULTIPEER_TITLE)) > $null
$t.Item(1).AppendChild($x.CreateTextNode($env:MULTIPEER_BODY)) > $null
[Windows.UI.Notifications.ToastNotificationManager]::CreateToastNotifier('Multipeer').Show([Windows.UI.Notifications.ToastNotification]::new($x))`

// Notify shows a toast. It passes the text in the environment, not as part of the script. The toast has no buttons.
func (s *System) Notify(ctx context.Context, n Notice) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err := powershell(ctx, toastScript, "MULTIPEER_TITLE="+n.Title, "MULTIPEER_BODY="+n.Body)
	return err
}

const (
	filesScript = `[Console]::OutputEncoding = [Text.Encoding]::UTF8
Add-Type -AssemblyName System.Windows.Forms
$d = New-Object System.Windows.Forms.OpenFileDialog
$d.Multiselect = $true
if ($d.ShowDialog() -eq 'OK') { $d.FileNames }`
	folderScript = `[Console]::OutputEncoding = [Text.Encoding]::UTF8
Add-Type -AssemblyName System.Windows.Forms
$d = New-Object System.Windows.Forms.FolderBrowserDialog
if ($d.ShowDialog() -eq 'OK') { $d.SelectedPath }`
	pictureScript = `Add-Type -AssemblyName System.Windows.Forms
$i = [System.Windows.Forms.Clipboard]::GetImage()
if ($i -eq $null) { exit 3 }
$i.Save($env:MULTIPEER_FILE, [System.Drawing.Imaging.ImageFormat]::Png)`
)

// Pick uses the system's own dialog.
func (s *System) Pick(ctx context.Context, folder bool) ([]string, error) {
	script := filesScript
	if folder {
		script = folderScript
	}
	out, err := powershell(ctx, script)
	if err != nil {
		return nil, ErrNoPicker
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == '\n' || r == '\r' }), nil
}

// Reveal selects the file in Explorer, whose exit code is meaningless.
func (s *System) Reveal(path string) error {
	c := exec.Command("explorer.exe")
	c.SysProcAttr = &syscall.SysProcAttr{CmdLine: `explorer.exe /select,"` + filepath.FromSlash(path) + `"`} // a file name cannot contain a quote
	_ = c.Run()
	return nil
}

const setPictureScript = `Add-Type -AssemblyName System.Windows.Forms
Add-Type -AssemblyName System.Drawing
$i = [System.Drawing.Image]::FromFile($env:MULTIPEER_FILE)
[System.Windows.Forms.Clipboard]::SetImage($i)
$i.Dispose()`

// SetClipboardPicture passes the picture in a temporary file.
func (s *System) SetClipboardPicture(ctx context.Context, png []byte) error {
	dir, path, err := pictureFile(png)
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	_, err = powershell(ctx, setPictureScript, "MULTIPEER_FILE="+path)
	return err
}

// CopyFiles puts files into the clipboard, as Explorer does.
func (s *System) CopyFiles(ctx context.Context, paths []string, held func()) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	const script = "Set-Clipboard -LiteralPath ($env:MULTIPEER_FILES -split \"`n\")"
	if _, err := powershell(ctx, script, "MULTIPEER_FILES="+strings.Join(paths, "\n")); err != nil {
		return err
	}
	held()
	return nil
}

// ClipboardPicture saves the clipboard picture to a temporary PNG file and reads it.
func (s *System) ClipboardPicture(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "clipboard.png")
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if _, err := powershell(ctx, pictureScript, "MULTIPEER_FILE="+path); err != nil {
		return nil, ErrNoPicture
	}
	return os.ReadFile(path)
}
