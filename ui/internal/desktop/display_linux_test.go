package desktop

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
)

func TestFindDisplay_NamesWhatIsMissing(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "wayland-1")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err := net.Listen("unix", "@/tmp/.X11-unix/X32001")
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	t.Setenv("XDG_RUNTIME_DIR", dir)
	t.Setenv("FYNE_PLATFORM", "")
	for _, c := range []struct{ x, wayland, want string }{
		{"", "", "neither DISPLAY nor WAYLAND_DISPLAY is set"},
		{":32000", "", `the display ":32000" (DISPLAY) does not answer`},
		{"", "wayland-0", `the display "wayland-0" (WAYLAND_DISPLAY) does not answer`},
		{"5", "", "is not written as HOST:NUMBER"},
		{":five", "", "is not written as HOST:NUMBER"},
		{":32001", "", ""},
		{":32001.0", "wayland-0", ""},
		{"", "wayland-1", ""},
		{"", socket, ""},
		{":32000", "wayland-1", ""},
	} {
		t.Setenv("DISPLAY", c.x)
		t.Setenv("WAYLAND_DISPLAY", c.wayland)
		err := FindDisplay()
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("DISPLAY=%q WAYLAND_DISPLAY=%q: %v, want %q", c.x, c.wayland, err, c.want)
		}
	}
}
