package web

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestLink_UnreadDownloadIsNotReported: data that the visitor's device has not acknowledged is still in this device's
// send buffer. A download is not reported, then or later, because of it.
func TestLink_UnreadDownloadIsNotReported(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("the system does not report what is acknowledged")
	}
	const size = 1 << 20 // fits into the send buffer
	dir := tree(t, map[string]string{"a": string(make([]byte, size))})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "a")}})
	b := newBrowser(t, l)
	b.open("")
	c := slowRequest(t, b, "file/0")
	if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // the link has written everything
	if err := c.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	b.do("GET", "file/0", nil, "Range", "bytes=0-0")
	time.Sleep(200 * time.Millisecond)
	if sent := of[Sent](seen); len(sent) > 0 {
		t.Errorf("reported as downloaded: %v", sent)
	}
	if status, content, _ := b.do("GET", "file/0", nil); status != http.StatusOK || len(content) != size {
		t.Errorf("%d, %d bytes", status, len(content))
	}
	l.Close()
	if sent := of[Sent](seen); len(sent) != 1 {
		t.Errorf("reported as downloaded: %v", sent)
	}
}

// slowRequest requests a file with a small receive buffer, and reads nothing of it.
func slowRequest(t *testing.T, b *browser, path string) *net.TCPConn {
	t.Helper()
	u, err := url.Parse(b.base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	c := conn.(*net.TCPConn)
	if err := c.SetReadBuffer(4096); err != nil {
		t.Fatal(err)
	}
	_, err = fmt.Fprintf(c, "GET %s%s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\n\r\n", u.Path, path, u.Host, b.http.Jar.Cookies(u)[0])
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestLink_UnreadDownloadEnds: a visitor whose device acknowledges nothing does not keep the request forever.
func TestLink_UnreadDownloadEnds(t *testing.T) {
	dir := tree(t, map[string]string{"a": string(make([]byte, 1<<20))})
	l, _ := openLink(t, Options{Paths: []string{filepath.Join(dir, "a")}, stalls: 200 * time.Millisecond})
	b := newBrowser(t, l)
	b.open("")
	defer slowRequest(t, b, "file/0").Close()
	time.Sleep(100 * time.Millisecond)
	for end := time.Now().Add(5 * time.Second); l.downloads.Load() > 0; time.Sleep(arrivalPoll) {
		if time.Now().After(end) {
			t.Fatal("the request has not ended")
		}
	}
}

// TestLink_DownloadInPartsIsReported: browsers load the parts of a large file in any order.
func TestLink_DownloadInPartsIsReported(t *testing.T) {
	dir := tree(t, map[string]string{"a": "0123456789"})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "a")}})
	b := newBrowser(t, l)
	b.open("")
	for _, part := range []string{"bytes=7-9", "bytes=0-3", "bytes=4-6"} {
		if status, _, _ := b.do("GET", "file/0", nil, "Range", part); status != http.StatusPartialContent {
			t.Error(part, status)
		}
	}
	l.Close()
	if sent := of[Sent](seen); len(sent) != 1 {
		t.Errorf("reported as downloaded: %v", sent)
	}
}

// TestLink_PartsOfTwoVersionsAreNoDownload: a browser that loads two halves of a file in parallel does not get both of
// them if the file is rewritten in between.
func TestLink_PartsOfTwoVersionsAreNoDownload(t *testing.T) {
	const size = 80 << 20 // more than sockets hold
	for _, what := range []string{"file/0", "all.zip"} {
		path := largeBesideSmall(t, size)
		l, seen := openLink(t, Options{Paths: []string{filepath.Dir(path)}})
		b := newBrowser(t, l)
		b.open("")
		get := func(part string) *http.Response {
			r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, b.base+what, nil)
			r.Header.Set("Range", part)
			res, err := b.http.Do(r)
			if err != nil || res.StatusCode != http.StatusPartialContent {
				t.Fatal(err, res)
			}
			return res
		}
		second := get(fmt.Sprintf("bytes=%d-", size/2))
		if _, err := io.Copy(io.Discard, second.Body); err != nil {
			t.Fatal(what, err)
		}
		_ = second.Body.Close()
		first := get(fmt.Sprintf("bytes=0-%d", size/2-1))
		if _, err := io.CopyN(io.Discard, first.Body, 1<<20); err != nil {
			t.Fatal(what, err)
		}
		if err := os.WriteFile(path, bytes.Repeat([]byte("B"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, first.Body); err == nil {
			t.Errorf("%s: the first half of another version looks complete", what)
		}
		_ = first.Body.Close()
		l.Close()
		if sent := of[Sent](seen); len(sent) > 0 {
			t.Errorf("%s: reported as downloaded: %v", what, sent)
		}
	}
}
