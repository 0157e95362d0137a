//go:build linux

package browser

import (
	"bufio"
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	cdpbrowser "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "multipeer-browser-")
	if err != nil {
		panic(err)
	}
	program = filepath.Join(dir, "multipeer-cli")
	build := exec.Command("go", "build", "-C", "../../..", "-o", program, "./cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building: %v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// link is a running multipeer-cli link.
type link struct {
	t    *testing.T
	url  string
	pin  string
	cmd  *exec.Cmd
	in   io.WriteCloser
	mu   sync.Mutex
	seen []map[string]any
	said bytes.Buffer
	done chan struct{}
}

// startLink runs multipeer-cli link with arguments, until the test ends.
func startLink(t *testing.T, args ...string) *link {
	t.Helper()
	l := &link{t: t, done: make(chan struct{}), cmd: exec.Command(program, append([]string{"--json", "--name", "Anna", "--port", freePort(t), "link", "--reserve", "-1"}, args...)...)}
	out, err := l.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	l.cmd.Stderr = &l.said
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() {
		t.Fatalf("no link: %s", l.said.String())
	}
	var first struct {
		URLs []string
		PIN  string
	}
	if err := json.Unmarshal(lines.Bytes(), &first); err != nil || len(first.URLs) == 0 {
		t.Fatalf("%s: %v", lines.Bytes(), err)
	}
	l.url, l.pin = first.URLs[0], first.PIN
	go func() {
		defer close(l.done)
		for lines.Scan() {
			var o map[string]any
			if json.Unmarshal(lines.Bytes(), &o) == nil {
				l.mu.Lock()
				l.seen = append(l.seen, o)
				l.mu.Unlock()
			}
		}
	}()
	t.Cleanup(func() {
		_ = l.cmd.Process.Signal(syscall.SIGINT)
		<-l.done
		_ = l.cmd.Wait()
	})
	return l
}

func freePort(t *testing.T) string {
	t.Helper()
	n, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	_, port, _ := net.SplitHostPort(n.Addr().String())
	return port
}

// await waits for a line of a type, with a state if that is not empty.
func (l *link) await(kind, state string) map[string]any {
	l.t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		l.mu.Lock()
		for i, o := range l.seen {
			if o["type"] == kind && (state == "" || o["state"] == state) {
				l.seen = append(l.seen[:i:i], l.seen[i+1:]...)
				l.mu.Unlock()
				return o
			}
		}
		l.mu.Unlock()
	}
	l.t.Fatalf("no %s %s: %v", kind, state, l.seen)
	return nil
}

// newBrowser starts a browser.
func newBrowser(t *testing.T) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "google-chrome", "chromium-browser"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	switch {
	case path == "" && os.Getenv("MULTIPEER_FULL") != "":
		t.Fatal("no chromium")
	case path == "":
		t.Skip("no chromium")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.Flag("disable-dev-shm-usage", true))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// open starts a browser with the link's page, and presses its button.
func open(t *testing.T, l *link, at string, script bool) context.Context {
	t.Helper()
	ctx := newBrowser(t)
	do(t, ctx, emulation.SetScriptExecutionDisabled(!script), chromedp.Navigate(at))
	if l.pin != "" {
		do(t, ctx, chromedp.SendKeys("#pin", l.pin, chromedp.ByID))
	}
	do(t, ctx, chromedp.Click("button.main"), chromedp.WaitReady("h2"))
	return ctx
}

func do(t *testing.T, ctx context.Context, actions ...chromedp.Action) {
	t.Helper()
	if err := chromedp.Run(ctx, actions...); err != nil {
		t.Fatal(err)
	}
}

// awaitText waits until an element shows a string. The page may change in the meantime.
func awaitText(t *testing.T, ctx context.Context, selector, want string) {
	t.Helper()
	got := ""
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		script := fmt.Sprintf("(document.querySelector(%q) || {}).innerText || ''", selector)
		if err := chromedp.Run(ctx, chromedp.Evaluate(script, &got)); err == nil && strings.Contains(got, want) {
			return
		}
	}
	t.Fatalf("%s shows %q, not %q", selector, got, want)
}

func random(t *testing.T, path string, n int64) []byte {
	t.Helper()
	b := make([]byte, n)
	_, _ = rand.Read(b)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return b
}

func same(t *testing.T, path string, want []byte) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s: %d bytes of %d, %v", path, len(got), len(want), err)
	}
}

// TestUpload_FilesFoldersAndText: a browser sends 300 files, a folder, text, and a file with an unusual name.
func TestUpload_FilesFoldersAndText(t *testing.T) {
	inbox, src := t.TempDir(), t.TempDir()
	l := startLink(t, "--receive", "--into", inbox, "--accept", "all", "--pin")
	ctx := open(t, l, l.url, true)
	var paths []string
	contents := map[string][]byte{}
	for i := range 300 {
		name := fmt.Sprintf("%d.bin", i)
		contents[name] = random(t, filepath.Join(src, name), int64(i))
		paths = append(paths, filepath.Join(src, name))
	}
	odd := `one "two" %41 ü.txt`
	contents[odd] = random(t, filepath.Join(src, odd), 10)
	do(t, ctx, chromedp.SetUploadFiles("#files", append(paths, filepath.Join(src, odd)), chromedp.ByID))
	if r := l.await("upload", "received"); r["files"] != 301.0 || r["problem"] != nil {
		t.Errorf("%v", r)
	}
	awaitText(t, ctx, "#state", "All files have arrived.")
	for name, want := range contents {
		same(t, filepath.Join(inbox, strings.ReplaceAll(name, `"`, "_")), want)
	}

	deep := random(t, filepath.Join(src, "trip", "deep", "x.bin"), 100_000)
	do(t, ctx, chromedp.SetUploadFiles("#dir", []string{filepath.Join(src, "trip")}, chromedp.ByID))
	l.await("upload", "received")
	same(t, filepath.Join(inbox, "trip", "deep", "x.bin"), deep)

	do(t, ctx, chromedp.SetValue("#text", "hello <b>there</b>", chromedp.ByID), chromedp.Click("#say button"))
	if r := l.await("text", ""); r["text"] != "hello <b>there</b>" {
		t.Errorf("%v", r)
	}
	awaitText(t, ctx, "#said", "sent")
}

// TestUpload_IsAskedAbout: a person declines the first upload and accepts the second.
func TestUpload_IsAskedAbout(t *testing.T) {
	inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
	content := random(t, file, 1000)
	l := startLink(t, "--receive", "--into", inbox)
	ctx := open(t, l, l.url, true)
	for _, answer := range []string{"n", "y"} {
		do(t, ctx, chromedp.SetUploadFiles("#files", []string{file}, chromedp.ByID))
		l.await("upload", "asked")
		awaitText(t, ctx, "#state", "Waiting for Anna to accept")
		if list, _ := os.ReadDir(inbox); len(list) > 0 {
			t.Errorf("stored before the answer: %v", list)
		}
		_, _ = io.WriteString(l.in, answer+"\n")
		awaitText(t, ctx, "#state", map[string]string{"n": "Anna declined.", "y": "All files have arrived."}[answer])
	}
	same(t, filepath.Join(inbox, "file"), content)
}

// cutter is a proxy on another port that cuts connections once they have carried some bytes. Requests have to contain
// the link's own host, so it replaces the Host and Origin headers with those that the browser would send there.
type cutter struct {
	l    net.Listener
	to   string
	left atomic.Int64 // remaining cuts
	cuts atomic.Int64
}

func newCutter(t *testing.T, to string, cuts int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{l: l, to: to}
	c.left.Store(cuts)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(in)
		}
	}()
	return c
}

func (c *cutter) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer out.Close()
	own := []byte(c.l.Addr().String())
	move := func(dst, src net.Conn, replace bool) {
		defer dst.Close()
		defer src.Close()
		buf := make([]byte, 64<<10)
		total := 0
		for {
			n, err := src.Read(buf)
			b := buf[:n]
			if replace { // headers only; the tests' files are random and do not contain the address
				b = bytes.ReplaceAll(b, own, []byte(c.to))
			}
			if _, werr := dst.Write(b); werr != nil || err != nil {
				return
			}
			if total += n; total > 3<<20 && c.left.Add(-1) >= 0 {
				c.cuts.Add(1)
				return
			}
		}
	}
	go move(in, out, false)
	move(out, in, true)
}

// through returns the link's address through the proxy.
func (c *cutter) through(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = c.l.Addr().String()
	return u.String()
}

func hostOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// TestUpload_ContinuesAfterCuts: the connection breaks twice in the middle of a file, which still arrives completely.
func TestUpload_ContinuesAfterCuts(t *testing.T) {
	inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "large")
	content := random(t, file, 40<<20)
	l := startLink(t, "--receive", "--into", inbox, "--accept", "all")
	c := newCutter(t, hostOf(t, l.url), 2)
	ctx := open(t, l, c.through(t, l.url), true)
	do(t, ctx, chromedp.SetUploadFiles("#files", []string{file}, chromedp.ByID))
	awaitText(t, ctx, "#state", "All files have arrived.")
	same(t, filepath.Join(inbox, "large"), content)
	if c.cuts.Load() != 2 {
		t.Errorf("%d cuts", c.cuts.Load())
	}
}

// TestDownload_ContinuesAfterCuts: Chromium resumes a file and the archive of all files automatically.
func TestDownload_ContinuesAfterCuts(t *testing.T) {
	src, saved := t.TempDir(), t.TempDir()
	content := random(t, filepath.Join(src, "large.bin"), 40<<20)
	random(t, filepath.Join(src, "small.bin"), 10)
	l := startLink(t, "--text", "some text", filepath.Join(src, "large.bin"), filepath.Join(src, "small.bin"))
	c := newCutter(t, hostOf(t, l.url), 2)
	ctx := open(t, l, c.through(t, l.url), true)
	do(t, ctx, cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(saved).WithEventsEnabled(true))
	do(t, ctx, chromedp.Click(`a[href="file/0"]`))
	awaitFile(t, filepath.Join(saved, "large.bin"), int64(len(content)))
	same(t, filepath.Join(saved, "large.bin"), content)
	if c.cuts.Load() != 2 {
		t.Errorf("%d cuts", c.cuts.Load())
	}
	c.left.Store(1)
	do(t, ctx, chromedp.Click(`a[href="all.zip"]`))
	l.await("downloaded", "")
	archive := filepath.Join(saved, "files.zip")
	awaitFile(t, archive, int64(len(content))+10)
	if out, err := exec.Command("python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)", archive).CombinedOutput(); err != nil {
		t.Errorf("the archive: %v: %s", err, out)
	}
}

// awaitFile waits until a download is complete.
func awaitFile(t *testing.T, path string, atLeast int64) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if info, err := os.Stat(path); err == nil && info.Size() >= atLeast {
			if _, err := os.Stat(path + ".crdownload"); os.IsNotExist(err) {
				return
			}
		}
	}
	t.Fatalf("%s is missing", path)
}

// TestPage_WorksWithoutScript: without JavaScript, a browser sends files with the form, and downloads files.
func TestPage_WorksWithoutScript(t *testing.T) {
	inbox, saved := t.TempDir(), t.TempDir()
	file := filepath.Join(t.TempDir(), "file.txt")
	content := random(t, file, 100_000)
	l := startLink(t, "--receive", "--into", inbox, "--accept", "all", file)
	ctx := open(t, l, l.url, false)
	do(t, ctx, chromedp.SetUploadFiles("#files", []string{file}, chromedp.ByID), chromedp.Click("#plain"), chromedp.WaitReady("p.done"))
	same(t, filepath.Join(inbox, "file.txt"), content)
	do(t, ctx, cdpbrowser.SetDownloadBehavior(cdpbrowser.SetDownloadBehaviorBehaviorAllow).WithDownloadPath(saved), chromedp.Click(`a[href="file/0"]`))
	awaitFile(t, filepath.Join(saved, "file.txt"), int64(len(content)))
	same(t, filepath.Join(saved, "file.txt"), content)
}

// TestPage_BelongsToItsFirstVisitor: another browser gets the message that the link is in use.
func TestPage_BelongsToItsFirstVisitor(t *testing.T) {
	l := startLink(t, "--text", "secret text")
	open(t, l, l.url, true)
	ctx := newBrowser(t)
	do(t, ctx, chromedp.Navigate(l.url), chromedp.Click("button.main"))
	awaitText(t, ctx, "body", "already open in another browser")
	var page string
	do(t, ctx, chromedp.OuterHTML("html", &page))
	if strings.Contains(page, "secret text") {
		t.Error("it shows the text")
	}
}
