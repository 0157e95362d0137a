package desktop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/windows/registry"
)

// TestSetFileManager_WritesAndRemoves changes the registry and the "Send to" menu of the user who runs it.
func TestSetFileManager_WritesAndRemoves(t *testing.T) {
	if os.Getenv("MULTIPEER_LONG") == "" {
		t.Skip("it changes this user's registry; set MULTIPEER_LONG=1 to run it")
	}
	s := &System{}
	is := func(want bool) {
		t.Helper()
		if on, err := s.FileManager(); on != want || err != nil {
			t.Fatalf("on %v, %v; want %v", on, err, want)
		}
	}
	for range 2 {
		if err := s.SetFileManager(false); err != nil {
			t.Fatal(err)
		}
		is(false)
		for range 2 {
			if err := s.SetFileManager(true); err != nil {
				t.Fatal(err)
			}
			is(true)
		}
		program, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		k, err := registry.OpenKey(registry.CURRENT_USER, linkClass+`\shell\open\command`, registry.QUERY_VALUE)
		if err != nil {
			t.Fatal(err)
		}
		if command, _, err := k.GetStringValue(""); err != nil || command != `"`+program+`" -- "%1"` {
			t.Errorf("links start %q, %v", command, err)
		}
		k.Close()
		path, err := sendToEntry()
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.ReplaceAll(string(b), "\x00", ""); !strings.Contains(text, filepath.Base(program)) || !strings.Contains(text, "--") {
			t.Errorf("the shortcut does not start this program: %q", text)
		}
	}
	if err := s.SetFileManager(false); err != nil {
		t.Fatal(err)
	}
	is(false)
	if _, err := registry.OpenKey(registry.CURRENT_USER, linkClass, registry.QUERY_VALUE); err == nil {
		t.Error("the key for links is left")
	}
}

// TestCOM_CreatesTheTaskbarList: the class and the interface are those of the system, and the object takes a call.
func TestCOM_CreatesTheTaskbarList(t *testing.T) {
	err := withCOM(func() error {
		list, err := createCOM(classTaskbarList, ifaceTaskbarList3)
		if err != nil {
			return err
		}
		defer list.release()
		return list.call(taskbarInit)
	})
	if err != nil {
		t.Fatal(err)
	}
}
