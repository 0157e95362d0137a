package readme

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// systems holds the commands of the docs that one system alone has. The workflows run them there.
var systems = map[string]func(*testing.T){"darwin": onDarwin, "windows": onWindows}

// TestCommandsOfThisSystem types what the docs tell people of macOS and Windows. It changes the machine, and puts it back:
// MULTIPEER_LONG=1 has it do so.
func TestCommandsOfThisSystem(t *testing.T) {
	commands := systems[runtime.GOOS]
	switch {
	case commands == nil:
		t.Skipf("%s has no commands of its own here: see internal/netlab", runtime.GOOS)
	case os.Getenv("MULTIPEER_LONG") == "":
		t.Skip("MULTIPEER_LONG=1 runs them")
	}
	commands(t)
}

// typed runs a line in a folder, by the system's shell.
func typed(t *testing.T, dir, line string) string {
	t.Helper()
	c := exec.Command("sh", "-c", line)
	if runtime.GOOS == "windows" {
		c = exec.Command("powershell", "-NoProfile", "-Command", "& { "+line+" }; exit $LASTEXITCODE")
	}
	c.Dir = dir
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", line, err, out)
	}
	return string(out)
}

// checkout is a copy of what is committed: packaging rewrites FyneApp.toml.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "multipeer")
	typed(t, "../..", fmt.Sprintf("git clone -q . %q", dir))
	return dir
}

// soon waits for what a service needs a moment for.
func soon(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 100 {
		if is() {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
	t.Fatal("it never came true: ", what)
}

func onDarwin(t *testing.T) {
	there := func(path string) {
		t.Helper()
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	}
	t.Run("package", func(t *testing.T) {
		dir := checkout(t)
		typed(t, dir, "go run fyne.io/tools/cmd/fyne@v1.7.4 package --target darwin")
		there(filepath.Join(dir, "Multipeer.app", "Contents", "Info.plist"))
	})
	t.Run("sign", func(t *testing.T) {
		dir := checkout(t)
		typed(t, dir, "sh packaging/darwin/package.sh")
		there(filepath.Join(dir, "build", "packages", "Multipeer-macos.zip"))
	})
	t.Run("ios", func(t *testing.T) {
		if !strings.Contains(typed(t, ".", "security find-identity -v -p codesigning"), "Development") {
			t.Skip("an app for iOS is signed as it is packaged, and there is no identity of a developer here")
		}
		dir := checkout(t)
		typed(t, dir, "go run fyne.io/tools/cmd/fyne@v1.7.4 package --target ios")
		there(filepath.Join(dir, "Multipeer.app", "Info.plist"))
	})
	t.Run("service", func(t *testing.T) {
		dir := checkout(t)
		typed(t, dir, "CGO_ENABLED=0 go build -o multipeer-cli ./cmd/multipeer-cli && sudo -n install multipeer-cli /usr/local/bin/")
		plist := filepath.Join(os.Getenv("HOME"), "Library", "LaunchAgents", "io.github.multipeer.serve.plist")
		typed(t, dir, "mkdir -p ~/Library/LaunchAgents && cp packaging/darwin/io.github.multipeer.serve.plist ~/Library/LaunchAgents/")
		t.Cleanup(func() {
			typed(t, dir, "launchctl bootout gui/$(id -u)/io.github.multipeer.serve; sudo -n rm /usr/local/bin/multipeer-cli")
			_ = os.Remove(plist)
		})
		typed(t, dir, "launchctl bootstrap gui/$(id -u) ~/Library/LaunchAgents/io.github.multipeer.serve.plist")
		soon(t, "the service runs", func() bool {
			return strings.Contains(typed(t, dir, "launchctl print gui/$(id -u)/io.github.multipeer.serve"), "state = running")
		})
	})
}

func onWindows(t *testing.T) {
	t.Run("window", func(t *testing.T) {
		dir := checkout(t)
		typed(t, dir, "go build -tags migrated_fynedo -ldflags -H=windowsgui .")
		if _, err := os.Stat(filepath.Join(dir, "multipeer.exe")); err != nil {
			t.Error(err)
		}
	})
	t.Run("service", func(t *testing.T) {
		typed(t, ".", `cmd /c 'schtasks /create /tn Multipeer /sc onlogon /rl limited /tr "C:\path\to\multipeer-cli.exe serve --into %USERPROFILE%\Downloads"'`)
		if out := typed(t, ".", "schtasks /query /tn Multipeer /v /fo list"); !strings.Contains(out, "multipeer-cli.exe serve --into") {
			t.Error(out)
		}
		typed(t, ".", "schtasks /delete /tn Multipeer /f") // /f: nobody is there to be asked
	})
}
