package readme

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// systems holds, by system, the functions that run the commands of the docs for that system. The workflows run them
// there.
var systems = map[string]func(*testing.T){"darwin": onDarwin, "windows": onWindows}

// TestCommandsOfThisSystem types what the docs say for macOS and Windows. It changes the machine, and restores it;
// MULTIPEER_LONG=1 enables it.
func TestCommandsOfThisSystem(t *testing.T) {
	commands := systems[runtime.GOOS]
	switch {
	case commands == nil:
		t.Skipf("%s has no commands of its own here: see internal/testing/netlab", runtime.GOOS)
	case os.Getenv("MULTIPEER_LONG") == "":
		t.Skip("MULTIPEER_LONG=1 runs them")
	}
	commands(t)
}

// typed runs a line in a folder, with the system's shell.
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

// checkout returns a copy of the committed files: packaging rewrites FyneApp.toml.
func checkout(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "multipeer")
	typed(t, "../../..", fmt.Sprintf("git clone -q . %q", dir))
	return dir
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
	atLogin(t)
}

func onWindows(t *testing.T) {
	t.Run("window", func(t *testing.T) {
		dir := checkout(t)
		typed(t, dir, "go build -tags migrated_fynedo -ldflags -H=windowsgui .")
		if _, err := os.Stat(filepath.Join(dir, "multipeer.exe")); err != nil {
			t.Error(err)
		}
	})
	atLogin(t)
}

// atLogin installs the service, and removes it.
func atLogin(t *testing.T) {
	t.Run("service", func(t *testing.T) {
		dir, home := checkout(t), t.TempDir()
		cli := filepath.Join(home, "multipeer-cli")
		if runtime.GOOS == "windows" {
			cli += ".exe"
		}
		build := exec.Command("go", "build", "-o", cli, "./cmd/multipeer-cli")
		build.Dir, build.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		do := func(args ...string) string {
			t.Helper()
			out, err := exec.Command(cli, append([]string{"--profile", filepath.Join(home, "profile")}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("%q: %v: %s", args, err, out)
			}
			return string(out)
		}
		t.Cleanup(func() { do("serve", "--at-login", "off") })
		do("serve", "--into", filepath.Join(home, "Downloads"), "--at-login", "on")
		do("peers") // runs in the service
		do("serve", "--at-login", "off")
		if out := do("serve", "--stop"); out != "" {
			t.Error(out)
		}
	})
}
