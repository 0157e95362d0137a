package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestDeps_OldGoIsRecognised: an old Go is detected before anything is installed, and the message states what to do.
func TestDeps_OldGoIsRecognised(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the scripts are for other systems")
	}
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(mod), "\ngo ")
	need, _, _ := strings.Cut(rest, "\n")
	script, err := filepath.Abs("../../../scripts/deps.sh")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, version, toolchain string
		want                     string // the expected message; empty means accepted
	}{
		{"the one that is needed", "go" + need, "local", ""},
		{"a newer one", "go1.100.2 X:some", "local", ""},
		{"one of tomorrow", "devel go1.99-abcdef Fri", "local", ""},
		{"Debian 12's", "go1.19.8", "", "too old to download a newer version"},
		{"Debian 13's", "go1.24.4", "local", "go env -w GOTOOLCHAIN=auto"},
		{"one that fetches", "go1.24.4", "auto", ""},
		{"one that fetches, with a floor", "go1.24.4", "go1.25.0+auto", ""},
		{"one that is pinned to a new one", "go1.24.4", "go1.100.0", ""},
		{"one that is pinned to an old one", "go1.24.4", "go1.25.0", "GOTOOLCHAIN=go1.25.0"},
		{"none", "", "", "there is no 'go' on the path"},
	} {
		bin := t.TempDir()
		for _, tool := range []string{"sh", "sed", "sort", "head", "dirname", "printf"} {
			if path, err := exec.LookPath(tool); err == nil {
				if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if c.version != "" {
			fake := "#!/bin/sh\n[ \"$1 $2\" = 'env GOVERSION' ] && echo '" + c.version + "'\n[ \"$1 $2\" = 'env GOTOOLCHAIN' ] && echo '" + c.toolchain + "'\nexit 0\n"
			if err := os.WriteFile(filepath.Join(bin, "go"), []byte(fake), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, tool := range []string{"apt-get", "sudo", "dpkg-query"} { // none of which is reached
			if err := os.WriteFile(filepath.Join(bin, tool), []byte("#!/bin/sh\necho installs >&2\nexit 0\n"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "sh"), script, "go")
		cmd.Env = []string{"PATH=" + bin}
		if c.want != "" {
			cmd.Args = append(cmd.Args, "build")
		}
		out, err := cmd.CombinedOutput()
		if (err == nil) != (c.want == "") || !strings.Contains(string(out), c.want) || c.want != "" && !strings.Contains(string(out), "go.dev/doc/install") || strings.Contains(string(out), "installs") {
			t.Errorf("%s: %v, %q", c.name, err, out)
		}
	}
}
