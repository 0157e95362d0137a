package web

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"multipeer/internal/testing/load"
)

// TestLink_MissingFilesAreThoseThatWereNotSentAgain checks that a file stays missing until its own visitor sends it again,
// whatever other uploads with the same or other names bring.
func TestLink_MissingFilesAreThoseThatWereNotSentAgain(t *testing.T) {
	l, seen := openLink(t, Options{Dir: t.TempDir(), Visitors: 3, Ask: func(context.Context, Upload) error { return nil }})
	first, second, third := newBrowser(t, l), newBrowser(t, l), newBrowser(t, l)
	for _, b := range []*browser{first, second, third} {
		b.open("")
	}
	// upload sends the first of the files only, and reports how many files are missing then.
	upload := func(b *browser, sent int, files ...offeredFile) int {
		id, state := b.offer(files...)
		if state != accepted {
			t.Fatal(state)
		}
		for n := range sent {
			b.do("PUT", fmt.Sprintf("put/%s/%d", id, n), strings.NewReader(strings.Repeat("x", int(files[n].Size))))
		}
		b.do("POST", "finish/"+id, nil)
		return l.Missing()
	}
	photo := offeredFile{"image.jpg", 5, 1_700_000_000_000}
	for i, c := range []struct {
		by    *browser
		sent  int
		files []offeredFile
		want  int
	}{
		{first, 1, []offeredFile{{"rings.jpg", 4, 0}, photo}, 1},
		{second, 1, []offeredFile{photo}, 1},
		{first, 1, []offeredFile{{"image.jpg", 3, 1_700_000_000_000}}, 1},
		{first, 1, []offeredFile{{"image.jpg", 5, 1_700_000_001_000}, {"doc.pdf", 9, 0}}, 2},
		{first, 1, []offeredFile{{"doc.pdf", 9, 0}}, 1},
		{first, 2, []offeredFile{photo, {"other.txt", 1, 0}}, 0},
	} {
		if got := upload(c.by, c.sent, c.files...); got != c.want {
			t.Errorf("upload %d: %d files are missing, want %d", i, got, c.want)
		}
	}

	// form sends part of a form, and reports how many files are missing then.
	form := func(form, part string) int {
		before := len(of[Received](seen))
		body := io.Reader(strings.NewReader(part))
		if len(part) < len(form) {
			body = io.MultiReader(body, breaking{})
		}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, third.base+"upload", body)
		if err != nil {
			t.Fatal(err)
		}
		u, _ := url.Parse(third.base)
		r.Header.Set("Origin", u.Scheme+"://"+u.Host)
		r.Header.Set("Content-Type", "multipart/form-data; boundary=x")
		r.ContentLength = int64(len(form))
		if res, err := third.http.Do(r); err == nil {
			_ = res.Body.Close()
		}
		if !load.Within(10*time.Second, time.Millisecond, func() bool { return len(of[Received](seen)) > before }) {
			t.Fatal("the form does not end")
		}
		return l.Missing()
	}
	whole := fmt.Sprintf("--x\r\nContent-Disposition: form-data; name=files; filename=%q\r\n\r\npicture\r\n--x--\r\n", "image.jpg")
	longer := strings.Replace(whole, "picture", "another picture", 1)
	for i, c := range []struct {
		form, part string
		want       int
	}{
		{whole, whole[:len(whole)-12], 1},
		{longer, longer, 1},
		{whole, whole, 0},
	} {
		if got := form(c.form, c.part); got != c.want {
			t.Errorf("form %d: %d files are missing, want %d", i, got, c.want)
		}
	}
}

// TestMissingFiles_AreLimited checks that visitors cannot fill the memory with files that they never send.
func TestMissingFiles_AreLimited(t *testing.T) {
	var m missingFiles
	for i := range maxMissing/1000 + 3 {
		files := make([]offeredFile, 1000)
		for n := range files {
			files[n].Path = fmt.Sprint(i, n)
		}
		m.update(Visitor{Number: 1}, files, func(string) bool { return true })
	}
	if len(m.files) != maxMissing || m.count() < maxMissing {
		t.Errorf("%d files of %d bytes are kept, %d counted", len(m.files), sha256.Size, m.count())
	}
}
