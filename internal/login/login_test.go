package login

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// odd is a command with what the files give a meaning of their own.
var odd = []string{`/opt/An na's "best" $HOME %h/multi\peer`, "serve", "--into=/home/anna/a & b <c>", "--name=$(id) `id` ; x"}

func TestTextsKeepTheCommandWhole(t *testing.T) {
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

// TestOwnUnitIsThePackagesOne but for what it starts.
func TestOwnUnitIsThePackagesOne(t *testing.T) {
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

// TestWindowEntry: it is written, read and taken away, as often as one likes.
func TestWindowEntry(t *testing.T) {
	if runtime.GOOS == "windows" && os.Getenv("MULTIPEER_LONG") == "" {
		t.Skip("it changes this user's registry: MULTIPEER_LONG=1 has it do so")
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
		if err := e.Set(false); err != nil {
			t.Fatal(err)
		}
	}
	is(false)
	if strings.HasPrefix(os.Args[0], filepath.Join(os.TempDir(), "go-build")) { // as this test is, and those of go run
		if err := e.Set(true); err == nil || !strings.Contains(err.Error(), "build it first") {
			t.Errorf("a program that will be gone: %v", err)
		}
		is(false)
	}
}

// TestDesktopRunsTheEntry gives the entry to a reader of such files that is not ours.
func TestDesktopRunsTheEntry(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("of Linux")
	}
	gio, err := exec.LookPath("gio")
	if err != nil {
		t.Skip("no gio (package libglib2.0-bin)")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, `An na's "best" $HOME multi\peer`)
	if err := os.WriteFile(program, []byte("#!/bin/sh\nprintf '%s\\n' \"$@\" >\""+dir+"/said\"\n"), 0o755); err != nil {
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
		if said, _ := os.ReadFile(filepath.Join(dir, "said")); string(said) == want {
			return
		}
		_ = exec.CommandContext(t.Context(), "sleep", "0.01").Run()
	}
	said, _ := os.ReadFile(filepath.Join(dir, "said"))
	t.Errorf("%s", said)
}
