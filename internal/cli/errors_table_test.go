package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestErrors_AreAsThePageSays runs each command of the table in docs/cli.md, and compares its exit code and its error.
func TestErrors_AreAsThePageSays(t *testing.T) {
	page, err := os.ReadFile("../../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(.+)` \\| ([0-9]+) \\| `(.+)` \\|$").FindAllStringSubmatch(string(page), -1)
	if len(rows) < 25 {
		t.Fatalf("only %d errors are listed", len(rows))
	}
	dir := t.TempDir()
	t.Chdir(dir)
	t.Setenv("HOME", dir)
	t.Setenv("XDG_CONFIG_HOME", filepath.Join(dir, "config"))
	if err := os.WriteFile("photo.jpg", []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	global := []string{"--json", "--service", fmt.Sprintf("e%d", os.Getpid()), "--interface", loopback(t)}
	id := func() string {
		var out bytes.Buffer
		Run(t.Context(), append(global, "id"), strings.NewReader(""), &out, &out)
		var self struct{ ID string }
		if err := json.Unmarshal(out.Bytes(), &self); err != nil {
			t.Fatal(err, out.String())
		}
		return self.ID
	}
	known := "aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73"
	if code := Run(t.Context(), append(global, "trust", known, "seen"), strings.NewReader(""), &bytes.Buffer{}, &bytes.Buffer{}); code != 0 {
		t.Fatal(code)
	}
	socket, err := net.ListenUDP("udp", nil) // a port that is free; the default one may be taken
	if err != nil {
		t.Fatal(err)
	}
	port := fmt.Sprint(socket.LocalAddr().(*net.UDPAddr).Port)
	_ = socket.Close()
	global = append(global, "--port", port)
	names := strings.NewReplacer("OWN-ID", id(), "KNOWN-ID", known, "OWN-PORT", port)
	for _, row := range rows {
		args := words(names.Replace(row[1]))
		var out, errs bytes.Buffer
		code := Run(t.Context(), append(global, args...), strings.NewReader(""), &out, &errs)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		var last struct {
			Type, Error string
			Exit        int
		}
		_ = json.Unmarshal([]byte(lines[len(lines)-1]), &last)
		if fmt.Sprint(code) != row[2] || last.Type != "error" || last.Exit != code {
			t.Errorf("%s: exit code %d, want %s: %s%s", row[1], code, row[2], out.String(), errs.String())
		}
		want := strings.ReplaceAll(names.Replace(row[3]), `\|`, "|")
		if begin, cut := strings.CutSuffix(want, "…"); cut && !strings.HasPrefix(last.Error, begin) || !cut && last.Error != want {
			t.Errorf("%s: %q, want %q", row[1], last.Error, want)
		}
		if !strings.HasPrefix(errs.String(), "multipeer-cli: ") {
			t.Errorf("%s: standard error is %q", row[1], errs.String())
		}
	}
}

// words splits a command line of the page; quotes hold words together.
func words(line string) (out []string) {
	for _, m := range regexp.MustCompile(`"([^"]*)"|(\S+)`).FindAllStringSubmatch(line, -1) {
		out = append(out, m[1]+m[2])
	}
	return out
}
