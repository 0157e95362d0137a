//go:build linux

package browser

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

type starter = func(*testing.T, options) *tab

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

// largeSize is the size of the large files in MiB. MULTIPEER_LARGE replaces the default.
func largeSize(mib int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv("MULTIPEER_LARGE"), 10, 64); err == nil {
		return n
	}
	return mib
}

// sparse creates a file that takes no space.
func sparse(t *testing.T, path string, size int64) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size); err != nil {
		t.Fatal(err)
	}
}

// digests returns the SHA-256 of each file in a folder, by path.
func digests(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		out[name] = hex.EncodeToString(h.Sum(nil))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestUpload_DroppedDuringAnUploadFollows: files that are dropped while others are sent are offered afterwards.
func TestUpload_DroppedDuringAnUploadFollows(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "first.bin")
		first := random(t, file, 1000)
		l := startLink(t, "--receive", "--into", inbox)
		b := start(t, options{})
		b.open(l, l.url)
		b.choose("#files", file)
		l.await("upload", "asked")
		b.await("#state", "Waiting for Anna to accept")
		if _, err := b.page.eval(`(() => {
			const held = new DataTransfer();
			held.items.add(new File(["second"], "second.txt"));
			document.getElementById('send').dispatchEvent(new DragEvent('drop', {dataTransfer: held, bubbles: true, cancelable: true}));
			return 'dropped';
		})()`); err != nil {
			t.Fatal(err)
		}
		for i := range 2 {
			if i > 0 {
				l.await("upload", "asked")
			}
			time.Sleep(time.Second) // an answer that comes at once was typed before the question
			_, _ = io.WriteString(l.in, "y\n")
			l.await("upload", "received")
		}
		b.await("#state", "All files have arrived.")
		same(t, filepath.Join(inbox, "first.bin"), first)
		same(t, filepath.Join(inbox, "second.txt"), []byte("second"))
	})
}

// TestUpload_FilesAndText: a browser sends 300 files, one with an unusual name, and text.
func TestUpload_FilesAndText(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, src := t.TempDir(), t.TempDir()
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all", "--pin")
		b := start(t, options{})
		b.open(l, l.url)
		var paths []string
		contents := map[string][]byte{}
		for i := range 300 {
			name := fmt.Sprintf("%d.bin", i)
			contents[name] = random(t, filepath.Join(src, name), int64(i))
			paths = append(paths, filepath.Join(src, name))
		}
		odd := `one "two" %41 ü.txt`
		contents[odd] = random(t, filepath.Join(src, odd), 10)
		b.choose("#files", append(paths, filepath.Join(src, odd))...)
		if r := l.await("upload", "received"); r["files"] != 301.0 || r["problem"] != nil {
			t.Errorf("%v", r)
		}
		b.await("#state", "All files have arrived.")
		for name, want := range contents {
			same(t, filepath.Join(inbox, strings.ReplaceAll(name, `"`, "_")), want)
		}
		b.do(b.page.fill("#text", "hello <b>there</b>"))
		b.press("#say button")
		if r := l.await("text", ""); r["text"] != "hello <b>there</b>" {
			t.Errorf("%v", r)
		}
		b.await("#said", "sent")
	})
}

// TestUpload_Folder: a browser sends a folder.
func TestUpload_Folder(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, src := t.TempDir(), t.TempDir()
		deep := random(t, filepath.Join(src, "trip", "deep", "x.bin"), 100_000)
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all")
		b := start(t, options{})
		if _, is := b.page.(*firefox); is {
			t.Skip("WebDriver BiDi cannot choose a folder")
		}
		b.open(l, l.url)
		b.choose("#dir", filepath.Join(src, "trip"))
		l.await("upload", "received")
		same(t, filepath.Join(inbox, "trip", "deep", "x.bin"), deep)
	})
}

// TestUpload_IsAskedAbout: a person declines the first upload and accepts the second.
func TestUpload_IsAskedAbout(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
		content := random(t, file, 1000)
		l := startLink(t, "--receive", "--into", inbox)
		b := start(t, options{})
		b.open(l, l.url)
		for _, answer := range []string{"n", "y"} {
			b.choose("#files", file)
			l.await("upload", "asked")
			b.await("#state", "Waiting for Anna to accept")
			if list, _ := os.ReadDir(inbox); len(list) > 0 {
				t.Errorf("stored before the answer: %v", list)
			}
			_, _ = io.WriteString(l.in, answer+"\n")
			b.await("#state", map[string]string{"n": "Anna declined.", "y": "All files have arrived."}[answer])
		}
		same(t, filepath.Join(inbox, "file"), content)
	})
}

// TestUpload_ContinuesAfterCuts: the connection breaks twice in the middle of a file, which still arrives completely.
func TestUpload_ContinuesAfterCuts(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "large")
		content := random(t, file, 40<<20)
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all")
		c := newCutter(t, hostOf(t, l.url), 2)
		b := start(t, options{})
		b.open(l, c.through(t, l.url))
		b.choose("#files", file)
		b.await("#state", "All files have arrived.")
		same(t, filepath.Join(inbox, "large"), content)
		if c.cuts.Load() != 2 {
			t.Errorf("%d cuts", c.cuts.Load())
		}
	})
}

// TestUpload_DiskFails: the person reads the cause, and can send the files again.
func TestUpload_DiskFails(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "file")
		content := random(t, file, 1<<20)
		disk := exec.Command("mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", inbox)
		if out, err := disk.CombinedOutput(); err != nil {
			if os.Getenv("MULTIPEER_FULL") != "" {
				t.Fatalf("%v: %s", err, out)
			}
			t.Skipf("mount needs root: %s", out)
		}
		t.Cleanup(func() { _ = exec.Command("umount", "-l", inbox).Run() })
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all")
		b := start(t, options{})
		b.open(l, l.url)
		b.choose("#files", file)
		b.await("#state", "is full")
		if out, err := exec.Command("mount", "-o", "remount,size=10m", inbox).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		b.press("#retry")
		b.await("#state", "All files have arrived.")
		same(t, filepath.Join(inbox, "file"), content)
	})
}

// TestUpload_LargeFileKeepsTheBrowserSmall: the browser reads a large file while it sends it, and not before.
func TestUpload_LargeFileKeepsTheBrowserSmall(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		size := largeSize(200)
		inbox, file := t.TempDir(), filepath.Join(t.TempDir(), "large.bin")
		sparse(t, file, size<<20)
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all")
		b := start(t, options{})
		b.open(l, l.url)
		before, most, began := memory(t, b.page.process()), int64(0), time.Now()
		b.choose("#files", file)
		for state := ""; !strings.Contains(state, "All files have arrived."); time.Sleep(100 * time.Millisecond) {
			var err error
			if state, err = b.page.eval("document.querySelector('#state').innerText"); err != nil {
				t.Fatal(err)
			}
			if time.Since(began) > 4*time.Minute {
				t.Fatalf("the page shows %q", state)
			}
			most = max(most, memory(t, b.page.process())-before)
		}
		t.Logf("%d MiB in %.1f s; the browser grew by at most %d MiB from %d MiB", size, time.Since(began).Seconds(), most>>20, before>>20)
		if most > 200<<20 {
			t.Errorf("the browser grew by %d MiB", most>>20)
		}
		if info, err := os.Stat(filepath.Join(inbox, "large.bin")); err != nil || info.Size() != size<<20 {
			t.Errorf("%v %v", info, err)
		}
	})
}

// TestDownload_ContinuesAfterCuts: a file and the archive of all files arrive completely although the connection
// breaks. Chromium resumes automatically; in Firefox, a person has to press Retry.
func TestDownload_ContinuesAfterCuts(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		src, saved := t.TempDir(), t.TempDir()
		content := random(t, filepath.Join(src, "large.bin"), 40<<20)
		random(t, filepath.Join(src, "small.bin"), 10)
		l := startLink(t, "--text", "some text", filepath.Join(src, "large.bin"), filepath.Join(src, "small.bin"))
		c := newCutter(t, hostOf(t, l.url), 2)
		b := start(t, options{saved: saved})
		b.open(l, c.through(t, l.url))
		b.press(`a[href="file/0"]`)
		b.awaitDownload(c, 2, filepath.Join(saved, "large.bin"), int64(len(content)))
		same(t, filepath.Join(saved, "large.bin"), content)
		if c.cuts.Load() != 2 {
			t.Errorf("%d cuts", c.cuts.Load())
		}
		c.left.Store(1)
		b.press(`a[href="all.zip"]`)
		archive := filepath.Join(saved, "files.zip")
		b.awaitDownload(c, 3, archive, int64(len(content))+10)
		l.await("downloaded", "")
		if out, err := exec.Command("python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)", archive).CombinedOutput(); err != nil {
			t.Errorf("the archive: %v: %s", err, out)
		}
	})
}

// awaitDownload waits until a download is complete. After each cut, it resumes the download as a person would, up to
// the given number of cuts.
func (b *tab) awaitDownload(c *cutter, cuts int64, path string, size int64) {
	b.t.Helper()
	resumed := int64(0)
	for end := time.Now().Add(30 * time.Second); resumed <= cuts && time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if n := c.cuts.Load(); n > 0 {
			b.do(b.page.resume())
			resumed = n
		}
		if info, err := os.Stat(path); err == nil && info.Size() >= size && !partial(path) {
			return
		}
	}
	awaitFile(b.t, path, size)
}

// TestDownload_ArchiveUnpacksEverywhere: the archive of many files in folders and a large file, as a browser stores it,
// unpacks to what was shared, with each program that people use for that.
func TestDownload_ArchiveUnpacksEverywhere(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		src, saved := t.TempDir(), t.TempDir()
		shared := filepath.Join(src, "shared ü")
		count := 300
		if os.Getenv("MULTIPEER_LARGE") != "" {
			count = 2000
		}
		for i := range count {
			random(t, filepath.Join(shared, fmt.Sprintf("folder %d", i%20), fmt.Sprintf("%d.bin", i)), int64(i%100))
		}
		size := largeSize(100) << 20
		sparse(t, filepath.Join(shared, "large.bin"), size)
		want := digests(t, src)
		l := startLink(t, shared)
		b := start(t, options{saved: saved})
		b.open(l, l.url)
		b.press(`a[href="all.zip"]`)
		l.await("downloaded", "")
		archive := filepath.Join(saved, "shared ü.zip")
		awaitFile(t, archive, size)
		for _, unpack := range [][]string{{"unzip", "-q", archive}, {"bsdtar", "-xf", archive}, {"python3", "-m", "zipfile", "-e", archive, "."}} {
			into, err := os.MkdirTemp(src, "unpacked")
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(unpack[0], unpack[1:]...)
			cmd.Dir = into
			cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", unpack[0], err, out)
			}
			if got := digests(t, into); !maps.Equal(got, want) {
				t.Errorf("%s unpacked %d files of %d, or with other contents", unpack[0], len(got), len(want))
			}
			if err := os.RemoveAll(into); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestPage_WorksWithoutScript: without JavaScript, a browser sends files with the form, and downloads files.
func TestPage_WorksWithoutScript(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		inbox, saved := t.TempDir(), t.TempDir()
		file := filepath.Join(t.TempDir(), "file.txt")
		content := random(t, file, 100_000)
		l := startLink(t, "--receive", "--into", inbox, "--accept", "all", file)
		b := start(t, options{noScript: true, saved: saved})
		b.open(l, l.url)
		b.choose("#files", file)
		b.press("#plain")
		b.await("p.done", "")
		same(t, filepath.Join(inbox, "file.txt"), content)
		b.press(`a[href="file/0"]`)
		awaitFile(t, filepath.Join(saved, "file.txt"), int64(len(content)))
		same(t, filepath.Join(saved, "file.txt"), content)
	})
}

// TestPage_BelongsToItsFirstVisitor: another browser gets the message that the link is in use.
func TestPage_BelongsToItsFirstVisitor(t *testing.T) {
	eachBrowser(t, func(t *testing.T, start starter) {
		l := startLink(t, "--text", "secret text")
		start(t, options{}).open(l, l.url)
		b := start(t, options{})
		b.do(b.page.visit(l.url))
		b.press("button.main")
		b.await("body", "already open in another browser")
		page, err := b.page.eval("document.documentElement.outerHTML")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(page, "secret text") {
			t.Error("it shows the text")
		}
	})
}
