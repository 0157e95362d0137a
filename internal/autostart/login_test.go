package autostart

import (
	"encoding/xml"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// odd is a command with characters that are special in these files.
var odd = []string{`/opt/An na's "best" $HOME %h/multi\peer`, "serve", "--into=/home/anna/a & b <c>", "--name=$(id) `id` ; x"}

func TestEntry_KeepsTheCommandWhole(t *testing.T) {
	entry := desktopEntry(odd)
	want := `Exec="/opt/An na's \\"best\\" \\$HOME %%h/multi\\\\peer" "serve" "--into=/home/anna/a & b <c>" "--name=\\$(id) ` + "\\\\`id\\\\` ; x\"\n"
	if !strings.Contains(entry, want) {
		t.Errorf("%s\nwithout %s", entry, want)
	}
	want = `ExecStart=:"/opt/An na's \"best\" $HOME %%h/multi\\peer" "serve" "--into=/home/anna/a & b <c>" "--name=$(id) ` + "`id` ; x\"\n"
	if text := unit(odd); !strings.Contains(text, want) {
		t.Errorf("%s\nwithout %s", text, want)
	}
	text, err := launchAgent("a.b", odd, true)
	if err != nil {
		t.Fatal(err)
	}
	var plist struct {
		Keys []string `xml:"dict>key"`
		Args []string `xml:"dict>array>string"`
	}
	if err := xml.Unmarshal([]byte(text), &plist); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(plist.Args, odd) {
		t.Errorf("%q", plist.Args)
	}
	if !slices.Equal(plist.Keys, []string{"Label", "ProgramArguments", "RunAtLoad", "KeepAlive", "ProcessType"}) {
		t.Errorf("%q", plist.Keys)
	}
}

// TestEntry_RefusesControlCharacters: control characters would end a line in these files and start another one.
func TestEntry_RefusesControlCharacters(t *testing.T) {
	for _, s := range []string{"a\nExec=evil", "a\rb", "a\tb", "\x00", "\x1b[0m", "a\x7f", "a\u0085b", "a\u2028b", "a\u2029b", "a\xffb"} {
		err := oneLine([]string{"/opt/multipeer", "--into=" + s})
		if err == nil || !strings.Contains(err.Error(), "choose another path") || strings.ContainsFunc(err.Error(), breaksLine) {
			t.Errorf("%q: %v", s, err)
		}
	}
	if err := oneLine(odd); err != nil {
		t.Error(err)
	}
}

// TestSet_RefusesControlCharacters: Set rejects them before it writes anything.
func TestSet_RefusesControlCharacters(t *testing.T) {
	if strings.HasPrefix(os.Args[0], filepath.Join(os.TempDir(), "go-build")) {
		t.Setenv("TMPDIR", t.TempDir()) // so that this test's own program is accepted
	}
	if runtime.GOOS == "windows" {
		t.Skip("the folder for temporary files has a different name on Windows")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	for _, service := range []bool{false, true} {
		if err := (Entry{Args: []string{"--into=a\nb"}, Service: service}).Set(true); err == nil || !strings.Contains(err.Error(), "U+000A") {
			t.Errorf("service %v: %v", service, err)
		}
	}
	if found, _ := os.ReadDir(home); len(found) > 0 {
		t.Errorf("%v was created", found)
	}
}

// TestUnit_RefusesProgramsThatSystemdRejects: systemd rejects some characters, but only in the path of a program; the
// error says so.
func TestUnit_RefusesProgramsThatSystemdRejects(t *testing.T) {
	for path, want := range map[string]bool{"/opt/An na $HOME %h/multipeer": true, `/opt/a"b`: false, "/opt/a'b": false, `/opt/a\b`: false} {
		if err := unitProgram(path); (err == nil) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestUnit_IsReadBySystemd: systemd parses the command exactly as it was written.
func TestUnit_IsReadBySystemd(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("no systemd-analyze")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "An na $HOME %h ä multipeer")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "multipeer-test.service")
	if err := os.WriteFile(file, []byte(unit(append([]string{program}, odd[1:]...))), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", dir)
	out, err := exec.CommandContext(t.Context(), analyze, "verify", "--user", file).CombinedOutput()
	if err != nil || strings.Contains(string(out), "multipeer-test.service") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestUnit_EqualsThePackagedOne: our unit equals the package's, except for the command.
func TestUnit_EqualsThePackagedOne(t *testing.T) {
	packaged, err := os.ReadFile("../../packaging/linux/multipeer.service")
	if err != nil {
		t.Fatal(err)
	}
	bare := func(s string) (out []string) {
		for l := range strings.Lines(s) {
			if !strings.HasPrefix(l, "#") && !strings.HasPrefix(l, "ExecStart=") {
				out = append(out, strings.TrimSpace(l))
			}
		}
		return out
	}
	if p, own := bare(string(packaged)), bare(unit(odd)); !slices.Equal(p, own) {
		t.Errorf("%q\n%q", p, own)
	}
}

// TestEntry_OfTheWindowIsWrittenAndRemoved: the entry can be written, read and removed repeatedly.
func TestEntry_OfTheWindowIsWrittenAndRemoved(t *testing.T) {
	if runtime.GOOS == "windows" && os.Getenv("MULTIPEER_LONG") == "" {
		t.Skip("it changes this user's registry; set MULTIPEER_LONG=1 to run it")
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("XDG_CONFIG_HOME", "")
	e := Entry{Args: []string{"-hidden"}}
	is := func(want bool) {
		t.Helper()
		if on, err := e.On(); on != want || err != nil {
			t.Fatalf("on %v, %v; want %v", on, err, want)
		}
	}
	for range 2 {
		is(false)
		if err := e.Set(false); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := e.write(append(odd[:1:1], e.Args...)); err != nil {
				t.Fatal(err)
			}
			is(true)
		}
		_ = filepath.WalkDir(home, func(path string, d fs.DirEntry, _ error) error {
			if info, err := d.Info(); err == nil && info.Mode().IsRegular() && runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
				t.Errorf("%s can be read by others: %v", path, info.Mode())
			}
			return nil
		})
		if err := e.Set(false); err != nil {
			t.Fatal(err)
		}
	}
	is(false)
	if strings.HasPrefix(os.Args[0], filepath.Join(os.TempDir(), "go-build")) { // as with go run
		if err := e.Set(true); err == nil || !strings.Contains(err.Error(), "build the program") {
			t.Errorf("a program that go run deletes: %v", err)
		}
		is(false)
	}
}

// TestEntry_IsRunByADesktop launches the entry with an independent implementation.
func TestEntry_IsRunByADesktop(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("Linux only")
	}
	gio, err := exec.LookPath("gio")
	if err != nil {
		t.Skip("no gio (package libglib2.0-bin)")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, `An na's "best" $HOME multi\peer`)
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\""+dir+"/args\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	entry := filepath.Join(dir, "x.desktop")
	if err := os.WriteFile(entry, []byte(desktopEntry(append([]string{program}, odd[1:]...))), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), gio, "launch", entry).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	want := strings.Join(odd[1:], "\n") + "\n"
	for range 1000 {
		if got, _ := os.ReadFile(filepath.Join(dir, "args")); string(got) == want {
			return
		}
		_ = exec.CommandContext(t.Context(), "sleep", "0.01").Run()
	}
	got, _ := os.ReadFile(filepath.Join(dir, "args"))
	t.Errorf("%s", got)
}
