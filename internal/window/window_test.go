//go:build linux

package window

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/internal/netlab"
)

// desk is an X server with nothing on it: no window manager, no bus.
type desk struct {
	t       *testing.T
	bin     string
	display string
	theme   string
	dir     string
}

func newDesk(t *testing.T, theme string) *desk {
	t.Helper()
	for _, tool := range []string{"Xvfb", "xdotool", "python3", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			netlab.Missing(t, "no %s", tool)
		}
	}
	d := &desk{t: t, theme: theme, dir: t.TempDir()}
	d.bin = filepath.Join(d.dir, "multipeer")
	build := exec.Command("go", "build", "-tags", "migrated_fynedo", "-o", d.bin, "multipeer")
	build.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := build.CombinedOutput(); err != nil {
		netlab.Missing(t, "building the window: %v: %s", err, out)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1280x800x24", "-nolisten", "tcp")
	x.ExtraFiles = []*os.File{w}
	if err := x.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Process.Kill(); _ = x.Wait() })
	_ = w.Close()
	number, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatalf("Xvfb: %v", err)
	}
	d.display = ":" + strings.TrimSpace(number)
	return d
}

func (d *desk) env(home string) []string {
	run := filepath.Join(d.dir, "run")
	_ = os.MkdirAll(filepath.Join(home, ".cache"), 0o755) // Fyne does not make it
	_ = os.MkdirAll(run, 0o700)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + run, "DISPLAY=" + d.display, "LIBGL_ALWAYS_SOFTWARE=1",
		"FYNE_PLATFORM=x11", "FYNE_SCALE=1", "FYNE_THEME=" + d.theme, "MULTIPEER_TRACE=1", "LANG=C.UTF-8",
		"DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent", // or a bus is started that outlives the test
	}
	return env
}

func (d *desk) tool(name string, args ...string) string {
	d.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+d.display)
	out, err := c.CombinedOutput()
	if err != nil {
		d.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// window is a running program.
type window struct {
	d    *desk
	id   string
	home string
	cmd  *exec.Cmd

	mu  sync.Mutex
	log bytes.Buffer
}

func (w *window) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.Write(b)
}

func (w *window) lines() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.log.String()
}

func (d *desk) start(name string) *window {
	d.t.Helper()
	w := &window{d: d, home: filepath.Join(d.dir, name)}
	w.cmd = exec.Command(d.bin, "-profile", filepath.Join(w.home, "profile"), "-name", name, "-interface", "lo", "-service", fmt.Sprintf("w%d", os.Getpid()))
	w.cmd.Env, w.cmd.Dir = d.env(w.home), d.dir
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if err := w.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		_ = w.cmd.Wait()
		if d.t.Failed() {
			d.t.Logf("%s said:\n%s", name, w.lines())
		}
	})
	w.saw("AT everyone ")
	ids := strings.Fields(d.tool("xdotool", "search", "--onlyvisible", "--pid", strconv.Itoa(w.cmd.Process.Pid), "--name", "Multipeer"))
	w.id = ids[len(ids)-1]
	// Beside each other there is no room: each is in front when it is used.
	return w
}

// saw waits until the program has printed a line with the pattern.
func (w *window) saw(pattern string) {
	w.d.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	for range 300 {
		if re.MatchString(w.lines()) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.d.t.Fatalf("%s did not say %q", filepath.Base(w.home), pattern)
}

// at finds the middle of a widget in the window.
func (w *window) at(name string) (x, y int) {
	w.d.t.Helper()
	w.saw(`^AT ` + regexp.QuoteMeta(name) + ` `)
	all := regexp.MustCompile(`(?m)^AT `+regexp.QuoteMeta(name)+` (\d+) (\d+) (\d+) (\d+)$`).FindAllStringSubmatch(w.lines(), -1)
	last := all[len(all)-1]
	n := func(i int) int { v, _ := strconv.Atoi(last[i]); return v }
	return n(1) + n(3)/2, n(2) + n(4)/2
}

// settled is at, once the widget has stood still for half a second.
func (w *window) settled(name string) (x, y int) {
	w.d.t.Helper()
	for {
		x, y = w.at(name)
		time.Sleep(500 * time.Millisecond)
		if nx, ny := w.at(name); nx == x && ny == y {
			return x, y
		}
	}
}

func (w *window) front() {
	w.d.tool("xdotool", "windowraise", w.id)
	w.d.tool("xdotool", "windowfocus", "--sync", w.id)
}

func (w *window) click(name string) {
	w.d.t.Helper()
	w.front()
	x, y := w.settled(name)
	w.d.tool("xdotool", "mousemove", "--window", w.id, strconv.Itoa(x), strconv.Itoa(y))
	time.Sleep(150 * time.Millisecond)
	w.d.tool("xdotool", "click", "1")
	time.Sleep(200 * time.Millisecond)
}

func (w *window) typed(text string) {
	w.d.tool("xdotool", "type", "--delay", "25", text)
}

func (w *window) drop(name string, paths ...string) {
	w.d.t.Helper()
	w.front()
	x, y := w.settled(name)
	args := append([]string{"testdata/xdnd_drop.py", "--window", w.id, "--at", fmt.Sprintf("%d,%d", x, y)}, paths...)
	w.d.tool("/usr/bin/python3", args...)
}

// picture keeps what the window looks like, for people: in the folder that MULTIPEER_PICTURES names.
func (w *window) picture(name string) {
	dir := os.Getenv("MULTIPEER_PICTURES")
	if dir == "" {
		return
	}
	w.front()
	w.d.tool("xdotool", "mousemove", "1279", "799")
	time.Sleep(400 * time.Millisecond)
	w.d.tool("import", "-window", w.id, filepath.Join(dir, name+".png"))
}

func TestDropArrives(t *testing.T) {
	for _, theme := range []string{"light", "dark"} {
		t.Run(theme, func(t *testing.T) { dropArrives(t, theme) })
		if testing.Short() {
			return
		}
	}
}

func dropArrives(t *testing.T, theme string) {
	d := newDesk(t, theme)
	anna := d.start("Anna")
	anna.picture("empty-" + theme)
	ben := d.start("Ben")
	anna.saw(`EVT peer "Ben"`)
	ben.saw(`EVT peer "Anna"`)

	// A first message asks to connect, and is delivered once that is accepted.
	anna.click("row:Ben")
	anna.saw(`EVT chosen Ben`)
	anna.click("entry")
	anna.typed("Have you got the photos from Sunday?")
	d.tool("xdotool", "key", "Return")
	anna.saw(`EVT send "Have you got the photos from Sunday\?"`)
	ben.saw(`EVT invitation from "Anna"`)
	ben.picture("invitation-" + theme)
	ben.click("connect-accept")
	anna.saw(`EVT connected "Ben"`)
	anna.saw(`Delivered "Have you got`)
	ben.saw(`EVT message "Have you got the photos from Sunday\?" from Anna`)
	ben.click("entry")
	ben.typed("Not yet. Just drop them here, the whole folder is fine: I have space for all of it.")
	d.tool("xdotool", "key", "Return")
	ben.saw(`Delivered "Not yet`)

	// Both verify each other: the code of one screen is picked on the other.
	anna.click("verify")
	anna.saw(`EVT pairing "Ben" waiting`)
	ben.click("verify")
	anna.saw(`EVT pairing "Ben" compare`)
	ben.saw(`EVT pairing "Anna" compare`)
	shows, picks := anna, ben
	code := regexp.MustCompile(`EVT pairing "\w+" compare(\d{3} \d{3})`)
	if !code.MatchString(shows.lines()) {
		shows, picks = ben, anna
	}
	shows.picture("code-" + theme)
	picks.picture("codes-" + theme)
	picks.click("pair:" + code.FindStringSubmatch(shows.lines())[1])
	shows.click("pair:It was picked there")
	anna.saw(`EVT pairing "Ben" done`)
	ben.saw(`EVT pairing "Anna" done`)

	// A folder with odd names, dropped on the conversation.
	folder := filepath.Join(d.dir, "Sunday #1 äöü 100%")
	for name, content := range map[string]string{"a+b%.txt": "plus and percent", "sub/日本.txt": "text"} {
		_ = os.MkdirAll(filepath.Dir(filepath.Join(folder, name)), 0o755)
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	anna.drop("timeline", folder)
	anna.saw(`EVT offered`)
	ben.saw(`EVT transfer "Sunday #1 äöü 100%" offered incoming=true`)
	ben.picture("offer-" + theme)
	ben.click("accept")
	anna.saw(`EVT transfer "Sunday #1 äöü 100%" delivered incoming=false`)
	ben.saw(`EVT transfer "Sunday #1 äöü 100%" delivered incoming=true`)
	inbox := filepath.Join(ben.home, "Downloads", filepath.Base(folder))
	for name, content := range map[string]string{"a+b%.txt": "plus and percent", "sub/日本.txt": "text"} {
		if b, err := os.ReadFile(filepath.Join(inbox, name)); err != nil || string(b) != content {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}

	// A large file, dropped on a row of the list.
	large := filepath.Join(d.dir, "holiday-video.mp4")
	if err := os.WriteFile(large, bytes.Repeat([]byte("0123456789abcdef"), 600<<20/16), 0o644); err != nil {
		t.Fatal(err)
	}
	anna.drop("row:Ben", large)
	ben.saw(`EVT transfer "holiday-video.mp4" offered incoming=true`)
	ben.picture("second-offer-" + theme)
	ben.click("accept")
	ben.saw(`EVT transfer "holiday-video.mp4" moving incoming=true`)
	time.Sleep(1500 * time.Millisecond)
	anna.picture("conversation-" + theme)
	ben.saw(`EVT transfer "holiday-video.mp4" delivered incoming=true`)
	a, _ := os.ReadFile(large)
	b, err := os.ReadFile(filepath.Join(ben.home, "Downloads", "holiday-video.mp4"))
	if err != nil || !bytes.Equal(a, b) {
		t.Errorf("the large file differs: %v", err)
	}
	ben.picture("received-" + theme)

	// A clean end.
	_ = anna.cmd.Process.Signal(os.Interrupt)
	ben.saw(`EVT lost "Anna"`)
	if err := anna.cmd.Wait(); err != nil {
		t.Errorf("Anna ended with %v", err)
	}
	for _, w := range []*window{anna, ben} {
		if strings.Contains(w.lines(), "Error in Fyne call thread") || strings.Contains(w.lines(), "panic") {
			t.Errorf("%s complained", w.home)
		}
	}
}
