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
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"multipeer/internal/testing/netlab"
)

// desk is an X server without a window manager.
type desk struct {
	t       *testing.T
	bin     string
	cli     string
	display string
	theme   string
	dir     string
	bus     string // address of a session bus; empty for none
}

// built is the folder of the programs under test; TestMain removes it.
var built string

// build builds the programs once.
var build = sync.OnceValue(func() (err error) {
	if built, err = os.MkdirTemp("", "multipeer-window-"); err != nil {
		return err
	}
	cli := exec.Command("go", "build", "-o", built, "multipeer/cmd/multipeer-cli")
	if out, err := cli.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	window := exec.Command("go", "build", "-C", "../../..", "-tags", "migrated_fynedo", "-o", filepath.Join(built, "multipeer"), ".")
	window.Env = append(os.Environ(), "CGO_ENABLED=1")
	if out, err := window.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
})

// contrast is the theme of high contrast.
const contrast = "contrast"

func newDesk(t *testing.T, theme string) *desk {
	t.Helper()
	for _, tool := range []string{"Xvfb", "xdotool", "python3", "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			netlab.Missing(t, "no %s", tool)
		}
	}
	if err := build(); err != nil {
		netlab.Missing(t, "building the window: %v", err)
	}
	d := &desk{t: t, theme: theme, dir: t.TempDir(), bin: filepath.Join(built, "multipeer"), cli: filepath.Join(built, "multipeer-cli")}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	_ = r.SetReadDeadline(time.Now().Add(time.Minute))
	x := exec.Command("Xvfb", "-displayfd", "3", "-screen", "0", "1400x900x24", "-nolisten", "tcp")
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

// service is the service type of the programs on this desk, so that they do not meet those of another desk.
func (d *desk) service() string { return fmt.Sprintf("w%d-%s", os.Getpid(), d.theme[:1]) }

func (d *desk) env(home string) []string {
	run := filepath.Join(d.dir, "run")
	_ = os.MkdirAll(filepath.Join(home, ".cache"), 0o755) // Fyne does not create it
	_ = os.MkdirAll(run, 0o700)
	env := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_RUNTIME_DIR=" + run, "DISPLAY=" + d.display, "LIBGL_ALWAYS_SOFTWARE=1",
		"FYNE_PLATFORM=x11", "FYNE_SCALE=1", "FYNE_THEME=" + d.theme, "MULTIPEER_TRACE=1", "LANG=C.UTF-8",
	}
	if d.bus == "" {
		return append(env, "DBUS_SESSION_BUS_ADDRESS=unix:path=/nonexistent") // otherwise a bus is started that outlives the test
	}
	return append(env, "DBUS_SESSION_BUS_ADDRESS="+d.bus)
}

func (d *desk) tool(name string, args ...string) string {
	d.t.Helper()
	c := exec.Command(name, args...)
	c.Env = append(os.Environ(), "DISPLAY="+d.display)
	out, err := output(c)
	if err != nil {
		d.t.Fatalf("%s %q: %v: %s", name, args, err, out)
	}
	return strings.TrimSpace(out)
}

// output runs a command for at most a minute, and returns what it prints. A Go program that takes longer prints its
// goroutines before it is killed.
func output(c *exec.Cmd) (string, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		return "", err
	}
	err := ended(c, time.Minute)
	return out.String(), err
}

// ended waits until a command ends. A Go program that takes longer than limit prints its goroutines.
func ended(c *exec.Cmd, limit time.Duration) error {
	c.WaitDelay = 5 * time.Second
	var late atomic.Bool
	quit := time.AfterFunc(limit, func() {
		late.Store(true)
		_ = c.Process.Signal(syscall.SIGQUIT)
	})
	kill := time.AfterFunc(limit+5*time.Second, func() { _ = c.Process.Kill() })
	defer quit.Stop()
	defer kill.Stop()
	err := c.Wait()
	if late.Load() {
		return fmt.Errorf("not ended within %v: %w", limit, err)
	}
	return err
}

// window is a running program.
type window struct {
	d     *desk
	id    string
	home  string
	cmd   *exec.Cmd
	trace string // a mode of tracing; empty for the usual one

	oneCPU bool // runs on the first processor alone

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

// events returns the lines without the positions of widgets.
func (w *window) events() string {
	return regexp.MustCompile(`(?m)^AT .*\n`).ReplaceAllString(w.lines(), "")
}

func (d *desk) start(name string, args ...string) *window {
	d.t.Helper()
	w := &window{d: d, home: filepath.Join(d.dir, name)}
	w.open(args...)
	return w
}

func (w *window) command(args ...string) *exec.Cmd {
	name := filepath.Base(w.home)
	cmd := exec.Command(w.d.bin, append([]string{"-profile", filepath.Join(w.home, "profile"), "-name", name, "-interface", "lo", "-service", w.d.service()}, args...)...)
	cmd.Env, cmd.Dir = w.d.env(w.home), w.d.dir
	if w.trace != "" {
		cmd.Env = append(cmd.Env, "MULTIPEER_TRACE="+w.trace)
	}
	return cmd
}

// open starts the program with the window's profile, for the first time or again, and waits for its window.
func (w *window) open(args ...string) {
	d := w.d
	d.t.Helper()
	w.openNow(args...)
	w.saw("AT everyone ")
	ids := strings.Fields(d.tool("xdotool", "search", "--onlyvisible", "--pid", strconv.Itoa(w.cmd.Process.Pid), "--name", "Multipeer"))
	w.id = ids[len(ids)-1]
	// The windows do not fit side by side: each is raised when it is used.
	d.tool("xdotool", "windowmove", w.id, "0", "0")
}

// chooseContrast stores the choice of high contrast in a new profile: Fyne has no name for that theme.
func (w *window) chooseContrast() {
	settings := filepath.Join(w.home, "profile", "window.json")
	if _, err := os.Stat(settings); err == nil || w.d.theme != contrast {
		return
	}
	write(w.d.t, settings, `{"appearance": "contrast"}`)
	if err := os.Chmod(filepath.Dir(settings), 0o700); err != nil {
		w.d.t.Fatal(err)
	}
}

// openNow starts the program.
func (w *window) openNow(args ...string) {
	d := w.d
	d.t.Helper()
	w.mu.Lock()
	w.log.Reset()
	w.mu.Unlock()
	w.chooseContrast()
	w.cmd = w.command(args...)
	w.cmd.Stdout, w.cmd.Stderr = w, w
	if w.oneCPU {
		defer onOneCPU(d.t)()
	}
	if err := w.cmd.Start(); err != nil {
		d.t.Fatal(err)
	}
	cmd := w.cmd
	d.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if d.t.Failed() {
			d.t.Logf("%s said:\n%s", filepath.Base(w.home), w.events())
		}
	})
}

// onOneCPU binds this thread, and the processes that it starts, to the first processor, until the returned function is
// called.
func onOneCPU(t *testing.T) func() {
	t.Helper()
	runtime.LockOSThread()
	var all, first unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	first.Set(0)
	if err := unix.SchedSetaffinity(0, &first); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.SchedSetaffinity(0, &all); err != nil {
			t.Fatal(err)
		}
		runtime.UnlockOSThread()
	}
}

// close ends the program as a system shutdown does.
func (w *window) close() {
	w.d.t.Helper()
	_ = w.cmd.Process.Signal(os.Interrupt)
	if err := ended(w.cmd, 30*time.Second); err != nil { // less than the program's own limit
		w.d.t.Errorf("%s ended with %v, after:\n%s", filepath.Base(w.home), err, w.events())
	}
	w.sound()
}

// sound looks for output that must never appear.
func (w *window) sound() {
	w.d.t.Helper()
	for _, bad := range []string{"Error in Fyne call thread", "panic", "Translation failure", "DATA RACE"} {
		if strings.Contains(w.lines(), bad) {
			w.d.t.Errorf("%s complained: %s", filepath.Base(w.home), bad)
		}
	}
}

// saw waits until the program has printed a line with the pattern.
func (w *window) saw(pattern string) {
	w.d.t.Helper()
	re := regexp.MustCompile("(?m)" + pattern)
	for range 600 {
		if re.MatchString(w.lines()) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.d.t.Fatalf("%s did not print %q", filepath.Base(w.home), pattern)
}

// at returns the centre of a widget in the window, once it is shown.
func (w *window) at(name string) (x, y int) {
	w.d.t.Helper()
	for range 600 {
		if x, y, there := w.where(name); there {
			return x, y
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.d.t.Fatalf("%s does not show %s", filepath.Base(w.home), name)
	return 0, 0
}

// where returns the centre of a widget, if it is on screen.
func (w *window) where(name string) (x, y int, there bool) {
	all := regexp.MustCompile(`(?m)^AT `+regexp.QuoteMeta(name)+` (\d+) (\d+) (\d+) (\d+)$`).FindAllStringSubmatch(w.lines(), -1)
	if len(all) == 0 {
		return 0, 0, false
	}
	last := all[len(all)-1]
	n := func(i int) int { v, _ := strconv.Atoi(last[i]); return v }
	return n(1) + n(3)/2, n(2) + n(4)/2, n(3) > 0
}

// firstOf waits until one of two widgets is shown, and returns its name.
func (w *window) firstOf(one, other string) string {
	w.d.t.Helper()
	for range 600 {
		for _, name := range []string{one, other} {
			if _, _, there := w.where(name); there {
				return name
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	w.d.t.Fatalf("%s shows neither %s nor %s", filepath.Base(w.home), one, other)
	return ""
}

// settled is like at, but waits until the widget has not moved for half a second.
func (w *window) settled(name string) (x, y int) {
	w.d.t.Helper()
	for range 60 {
		x, y = w.at(name)
		time.Sleep(500 * time.Millisecond)
		if nx, ny := w.at(name); nx == x && ny == y {
			return x, y
		}
	}
	w.d.t.Fatalf("%s keeps moving %s", filepath.Base(w.home), name)
	return 0, 0
}

func (w *window) front() {
	w.d.tool("xdotool", "windowraise", w.id)
	w.d.tool("xdotool", "windowfocus", "--sync", w.id)
}

// click presses a widget. A card ignores presses that come within a second of a change to it.
func (w *window) click(name string) {
	w.d.t.Helper()
	w.front()
	x, y := w.settled(name)
	if name == "accept" || name == "connect-accept" || strings.HasPrefix(name, "pair:") {
		time.Sleep(1100 * time.Millisecond)
		x, y = w.settled(name)
	}
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

// clickNow clicks where a widget was last seen, without waiting until the widget stops moving.
func (w *window) clickNow(name string) {
	w.d.t.Helper()
	w.front()
	x, y := w.at(name)
	w.d.tool("xdotool", "mousemove", "--window", w.id, strconv.Itoa(x), strconv.Itoa(y), "click", "1")
}

func (w *window) press(keys string) {
	w.front()
	w.d.tool("xdotool", "key", keys)
}

// menuPictures saves pictures of a menu at each size: it closes when the size changes.
func (w *window) menuPictures(name, button string) {
	if os.Getenv("MULTIPEER_PICTURES") == "" {
		return
	}
	for i := len(sizes) - 1; i >= 0; i-- {
		w.resize(sizes[i])
		w.click(button)
		time.Sleep(600 * time.Millisecond)
		w.keep(name, sizes[i])
		w.press("Escape")
	}
}

func (w *window) resize(size [2]int) {
	w.d.tool("xdotool", "windowsize", "--sync", w.id, strconv.Itoa(size[0]), strconv.Itoa(size[1]))
	time.Sleep(600 * time.Millisecond)
}

// keep writes a picture of the current window into the folder that MULTIPEER_PICTURES names.
func (w *window) keep(name string, size [2]int) {
	w.d.tool("import", "-window", w.id, filepath.Join(os.Getenv("MULTIPEER_PICTURES"), fmt.Sprintf("%s-%d-%s.png", name, size[0], w.d.theme)))
}

// keepScreen writes a picture of everything on the screen.
func (d *desk) keepScreen(name string) {
	if dir := os.Getenv("MULTIPEER_PICTURES"); dir != "" {
		d.tool("import", "-window", "root", filepath.Join(dir, fmt.Sprintf("%s-screen-%s.png", name, d.theme)))
	}
}

// restPictures saves pictures of the lower parts of a page, at each size: the middle, and the end.
func (w *window) restPictures(name string) {
	if os.Getenv("MULTIPEER_PICTURES") == "" {
		return
	}
	scroll := func(x int, button string, notches int) {
		w.d.tool("xdotool", "mousemove", "--window", w.id, strconv.Itoa(x), "400", "click", "--repeat", strconv.Itoa(notches), "--delay", "5", button)
		w.d.tool("xdotool", "mousemove", "1399", "899")
		time.Sleep(600 * time.Millisecond)
	}
	for i := len(sizes) - 1; i >= 0; i-- {
		w.resize(sizes[i])
		x := sizes[i][0] * 3 / 4 // the list of groups scrolls by itself
		scroll(x, "5", 300)
		w.keep(name+"-end", sizes[i])
		scroll(x, "4", sizes[i][1]/32) // most of a page
		w.keep(name+"-middle", sizes[i])
		scroll(x, "4", 300)
	}
}

// sizes are those of docs/screens.
var sizes = [][2]int{{1280, 800}, {900, 600}, {420, 800}}

// picture saves pictures of the window at each size, for documentation.
func (w *window) picture(name string) {
	if os.Getenv("MULTIPEER_PICTURES") == "" {
		return
	}
	w.front()
	w.d.tool("xdotool", "mousemove", "1399", "899")
	for i := len(sizes) - 1; i >= 0; i-- { // the last one is the size in which the test continues
		w.resize(sizes[i])
		w.keep(name, sizes[i])
	}
}
