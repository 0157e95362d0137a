//go:build linux

package browser

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// options are what a test may ask of a browser.
type options struct {
	noScript bool   // the browser runs no JavaScript of the page
	saved    string // the folder for downloads
}

// page is one page in a browser that no other test uses. Its methods act as a person would: they wait for the elements
// that they act on.
type page interface {
	visit(url string) error
	press(selector string) error
	fill(selector, text string) error
	choose(selector string, paths ...string) error // choose files, or a folder, in a file field
	eval(script string) (string, error)            // the value of an expression that is a string; it runs even with noScript
	resume() error                                 // continue a broken download, as the button in the list of downloads does
	process() int                                  // the browser's main process
}

// browsers lists the browsers of the tests, each with the names of its program.
var browsers = []struct {
	name     string
	programs []string
	start    func(t *testing.T, program string, o options) page
}{
	{"chromium", []string{"chromium", "google-chrome", "chromium-browser"}, startChromium},
	{"firefox", []string{"firefox-esr", "firefox"}, startFirefox},
}

// eachBrowser runs a test in every browser that is installed. With MULTIPEER_FULL, all have to be.
func eachBrowser(t *testing.T, test func(t *testing.T, start func(*testing.T, options) *tab)) {
	for _, b := range browsers {
		t.Run(b.name, func(t *testing.T) {
			path := ""
			for _, name := range b.programs {
				if found, err := exec.LookPath(name); err == nil {
					path = found
					break
				}
			}
			switch {
			case path == "" && os.Getenv("MULTIPEER_FULL") != "":
				t.Fatalf("%s is not installed", b.name)
			case path == "":
				t.Skipf("%s is not installed", b.name)
			}
			test(t, func(t *testing.T, o options) *tab { return &tab{t, b.start(t, path, o)} })
		})
	}
}

// tab is a page whose failures end the test.
type tab struct {
	t    *testing.T
	page page
}

func (b *tab) do(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

// open visits a link's page, with its PIN if it has one, and presses its button.
func (b *tab) open(l *link, at string) {
	b.t.Helper()
	b.do(b.page.visit(at))
	if l.pin != "" {
		b.do(b.page.fill("#pin", l.pin))
	}
	b.do(b.page.press("button.main"))
	b.await("h2", "")
}

func (b *tab) press(selector string) {
	b.t.Helper()
	b.do(b.page.press(selector))
}

func (b *tab) choose(selector string, paths ...string) {
	b.t.Helper()
	b.do(b.page.choose(selector, paths...))
}

// await waits until an element shows a string. The page may change in the meantime.
func (b *tab) await(selector, want string) { b.t.Helper(); b.awaitFor(time.Minute, selector, want) }

func (b *tab) awaitFor(most time.Duration, selector, want string) {
	b.t.Helper()
	got := ""
	script := fmt.Sprintf("(e => e ? '+' + e.innerText : '')(document.querySelector(%q))", selector)
	for end := time.Now().Add(most); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var err error
		if got, err = b.page.eval(script); err == nil && strings.HasPrefix(got, "+") && strings.Contains(got, want) {
			return
		}
	}
	b.t.Fatalf("%s shows %q, not %q", selector, got, want)
}

// awaitFile waits until a download is complete.
func awaitFile(t *testing.T, path string, size int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() >= size && !partial(path) {
			return
		}
	}
	t.Fatalf("%s is missing", path)
}

// partial reports whether a browser still writes a file.
func partial(path string) bool {
	for _, pattern := range []string{path + ".crdownload", strings.TrimSuffix(path, filepath.Ext(path)) + "*.part"} {
		if found, _ := filepath.Glob(pattern); len(found) > 0 {
			return true
		}
	}
	return false
}

// memory returns the memory of a process and its children that no other process shares, in bytes.
func memory(t *testing.T, process int) (sum int64) {
	t.Helper()
	children := map[int][]int{}
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil { // it has ended
			continue
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		parent, _ := strconv.Atoi(fields[1])
		children[parent] = append(children[parent], pid)
	}
	for all := []int{process}; len(all) > 0; all = all[1:] {
		all = append(all, children[all[0]]...)
		rollup, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", all[0]))
		if err != nil {
			continue
		}
		for line := range strings.Lines(string(rollup)) {
			if fields := strings.Fields(line); fields[0] == "Private_Dirty:" || fields[0] == "Private_Clean:" {
				n, _ := strconv.ParseInt(fields[1], 10, 64)
				sum += n << 10
			}
		}
	}
	return sum
}

// quoted is a string in JavaScript.
func quoted(s string) string {
	b, _ := json.Marshal(s)
	return string(b)
}
