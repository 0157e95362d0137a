//go:build linux

package languages

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

const root = "../../.."

// built is the program under test.
var built = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "multipeer-languages-")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "multipeer-cli")
	c := exec.Command("go", "build", "-o", program, "multipeer/cmd/multipeer-cli")
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := c.CombinedOutput()
	if err != nil {
		return "", &failure{err, out}
	}
	return program, nil
})

type failure struct {
	err error
	out []byte
}

func (f *failure) Error() string { return f.err.Error() + ": " + string(f.out) }

func TestMain(m *testing.M) {
	code := m.Run()
	if program, err := built(); err == nil {
		_ = os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// run runs a command with the program under test, on the loopback interface.
func run(t *testing.T, name string, args ...string) {
	t.Helper()
	program, err := built()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), name, args...)
	c.Env = append(os.Environ(), "MULTIPEER_CLI="+program, "MULTIPEER_ARGS=--interface lo", "PYTHONPATH="+absolute(t, root, "python"), "PYTHONDONTWRITEBYTECODE=1")
	c.WaitDelay = 5 * time.Second
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	t.Logf("%s", out)
}

func absolute(t *testing.T, parts ...string) string {
	t.Helper()
	p, err := filepath.Abs(filepath.Join(parts...))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// pytest returns the path of pytest in its own virtual environment, which it makes once.
func pytest(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		netlab.Missing(t, "no python3")
	}
	venv := absolute(t, root, "build", "venv")
	program := filepath.Join(venv, "bin", "pytest")
	if _, err := os.Stat(program); err == nil {
		return program
	}
	for _, c := range []*exec.Cmd{
		exec.Command("python3", "-m", "venv", venv),
		exec.Command(filepath.Join(venv, "bin", "pip"), "install", "--quiet", "--disable-pip-version-check", "pytest"),
	} {
		if out, err := c.CombinedOutput(); err != nil {
			netlab.Missing(t, "making a virtual environment: %v: %s", err, out)
		}
	}
	return program
}

// TestPython_PackageKeepsItsPromises runs the tests of the Python package, with real processes and real mDNS.
func TestPython_PackageKeepsItsPromises(t *testing.T) {
	run(t, pytest(t), "-q", "-p", "no:cacheprovider", absolute(t, root, "python", "tests"))
}

// TestNode_ScriptUsesTheEngine: a short script without a library connects, sends, streams, and receives a file.
func TestNode_ScriptUsesTheEngine(t *testing.T) {
	if _, err := exec.LookPath("node"); err != nil {
		netlab.Missing(t, "no node")
	}
	run(t, "node", absolute(t, "testdata", "api.mjs"), t.TempDir())
}
