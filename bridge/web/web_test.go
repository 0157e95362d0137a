package web

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/internal/testing/load"
	"multipeer/transfer"
)

// events collects what a link reports.
type events struct {
	mu  sync.Mutex
	all []Event
}

func (e *events) add(ev Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

// of returns the events of one type.
func of[T Event](e *events) (out []T) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if t, is := ev.(T); is {
			out = append(out, t)
		}
	}
	return out
}

// openLink opens a link on any port, and closes it at the end of the test.
func openLink(t *testing.T, opts Options) (*Link, *events) {
	t.Helper()
	seen := &events{}
	opts.OnEvent, opts.Name = seen.add, "Anna's <laptop>"
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	opts.Port = free.Addr().(*net.TCPAddr).Port
	_ = free.Close()
	opts.Reserve = -1
	l, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l, seen
}

// browser is a client with a cookie jar that sends Origin, as browsers do.
type browser struct {
	t    *testing.T
	http *http.Client
	base string
}

func newBrowser(t *testing.T, l *Link) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &browser{t, &http.Client{Jar: jar, Timeout: 30 * time.Second}, l.urlOf("127.0.0.1")}
}

func (b *browser) do(method, path string, body io.Reader, header ...string) (status int, content []byte, h http.Header) {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if method != http.MethodGet {
		u, _ := url.Parse(b.base)
		r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if host := r.Header.Get("Host"); host != "" {
		r.Host = host
	}
	res, err := b.http.Do(r)
	if err != nil {
		return 0, []byte(err.Error()), nil
	}
	defer res.Body.Close()
	content, err = io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error()), res.Header
	}
	return res.StatusCode, content, res.Header
}

func (b *browser) open(pin string) int {
	b.t.Helper()
	status, _, _ := b.do("POST", "open", strings.NewReader(url.Values{"pin": {pin}}.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	return status
}

// offer announces files and waits for the answer.
func (b *browser) offer(files ...offeredFile) (id, state string) {
	b.t.Helper()
	body, _ := json.Marshal(map[string]any{"files": files})
	status, content, _ := b.do("POST", "offer", bytes.NewReader(body))
	var a struct{ Offer, State, Error string }
	if err := json.Unmarshal(content, &a); err != nil || status != http.StatusOK {
		return "", fmt.Sprint(status, " ", a.Error)
	}
	id = a.Offer
	for a.State = waiting; a.State == waiting; {
		_, content, _ = b.do("GET", "offer/"+id, nil)
		if err := json.Unmarshal(content, &a); err != nil {
			b.t.Fatal(err)
		}
	}
	return id, a.State
}

func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestLink_SharesFilesFoldersAndText checks the page, single downloads with ranges, and the archive.
func TestLink_SharesFilesFoldersAndText(t *testing.T) {
	dir := tree(t, map[string]string{"photos/a b.jpg": "picture", "photos/deep/ü.txt": "text", "note.html": "<script>alert(1)</script>"})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "photos"), filepath.Join(dir, "note.html")}, Text: "a </textarea> text"})
	b := newBrowser(t, l)
	if status, page, _ := b.do("GET", "", nil); status != http.StatusOK || strings.Contains(string(page), "photos") || !strings.Contains(string(page), "Anna&#39;s &lt;laptop&gt;") {
		t.Errorf("before it is opened: %d %s", status, page)
	}
	if status, _, _ := b.do("GET", "file/0", nil); status != http.StatusForbidden {
		t.Errorf("a file before the link is opened: %d", status)
	}
	if status := b.open(""); status != http.StatusOK {
		t.Fatalf("open: %d", status)
	}
	status, page, h := b.do("GET", "", nil)
	for _, want := range []string{"a b.jpg", "ü.txt", "note.html", "a &lt;/textarea&gt; text", "all.zip", "not encrypted"} {
		if !strings.Contains(string(page), want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if status != http.StatusOK || !strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") || h.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %v", status, h)
	}
	status, content, h := b.do("GET", "file/0", nil)
	if status != http.StatusOK || string(content) != "picture" || h.Get("Content-Type") != "image/jpeg" || !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.Contains(h.Get("Content-Disposition"), "a%20b.jpg") {
		t.Errorf("%d %q %v", status, content, h)
	}
	if status, content, _ = b.do("GET", "file/0", nil, "Range", "bytes=3-", "If-Range", h.Get("ETag")); status != http.StatusPartialContent || string(content) != "ture" {
		t.Errorf("a range: %d %q", status, content)
	}
	if status, content, h := b.do("GET", "file/2", nil); status != http.StatusOK || !strings.Contains(string(content), "script") || h.Get("Content-Type") != "application/octet-stream" {
		t.Errorf("a page: %d %v", status, h)
	}
	status, content, h = b.do("GET", "all.zip", nil)
	z, err := zip.NewReader(bytes.NewReader(content), int64(len(content)))
	if status != http.StatusOK || err != nil || len(z.File) != 5 || h.Get("Content-Length") != fmt.Sprint(len(content)) {
		t.Errorf("the archive: %d, %v, %v", status, err, h)
	}
	if err := os.WriteFile(filepath.Join(dir, "photos", "a b.jpg"), []byte("changed!"), 0o644); err != nil {
		t.Fatal(err)
	}
	if status, _, _ := b.do("GET", "file/0", nil); status != http.StatusGone {
		t.Errorf("a changed file: %d", status)
	}
	if status, content, _ := b.do("GET", "all.zip", nil); status != 0 && len(content) == len(page) {
		t.Errorf("an archive with a changed file: %d, %d bytes", status, len(content))
	}
	b.do("GET", "all.zip", nil) // browsers try again by themselves
	l.Close()
	if sent := of[Sent](seen); len(sent) != 3 || sent[0].Name != "a b.jpg" {
		t.Errorf("sent %+v", sent)
	}
	lost := of[NotSent](seen)
	if len(lost) != 2 || lost[0].Name != "a b.jpg" {
		t.Errorf("not sent: %+v", lost)
	}
	for _, ev := range lost {
		var f *transfer.Failure
		if !errors.As(ev.Err, &f) || f.Path != "photos/a b.jpg" || !errors.Is(f.Err, transfer.ErrChanged) {
			t.Errorf("%s: %v", ev.Name, ev.Err)
		}
	}
	if ended := of[Ended](seen); len(ended) != 1 || !errors.Is(ended[0].Err, ErrStopped) {
		t.Errorf("ended %+v", ended)
	}
}

// TestLink_DownloadsOfOneNameAreCountedApart checks that the end of one file does not complete another file with the
// same name.
func TestLink_DownloadsOfOneNameAreCountedApart(t *testing.T) {
	dir := tree(t, map[string]string{"all/a/x": "0123456789", "all/b/x": "0123456789"})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "all")}})
	b := newBrowser(t, l)
	b.open("")
	b.do("GET", "file/0", nil, "Range", "bytes=0-4")
	b.do("GET", "file/1", nil, "Range", "bytes=5-9")
	b.do("GET", "file/1", nil)
	l.Close()
	if sent := of[Sent](seen); len(sent) != 1 {
		t.Errorf("downloaded: %v", sent)
	}
}

// TestLink_TakesUploads checks that nothing is stored before the person accepts, that files arrive with their folders,
// and that an interrupted upload resumes.
func TestLink_TakesUploads(t *testing.T) {
	dir := t.TempDir()
	asked := make(chan Upload, 1)
	answer := make(chan error)
	l, seen := openLink(t, Options{Dir: dir, Ask: func(_ context.Context, u Upload) error { asked <- u; return <-answer }})
	b := newBrowser(t, l)
	b.open("")
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	files := []offeredFile{{"trip/1.bin", int64(len(content)), 1_600_000_000_000}, {"trip/empty", 0, 0}, {"notes.txt", 5, 0}}
	go func() {
		u := <-asked
		if u.Files != 3 || u.Bytes != int64(len(content)+5) || u.Items != 2 || !slices.Equal(u.Names, []string{"trip", "notes.txt"}) {
			t.Errorf("asked %+v", u)
		}
		if list, _ := os.ReadDir(dir); len(list) > 0 {
			t.Errorf("stored before it was accepted: %v", list)
		}
		answer <- nil
	}()
	id, state := b.offer(files...)
	if state != accepted {
		t.Fatal(state)
	}
	cut := io.MultiReader(bytes.NewReader(content[:300_000]), &breaking{})
	if status, _, _ := b.do("PUT", "put/"+id+"/0", cut); status == http.StatusOK {
		t.Error("a broken upload was accepted")
	}
	var arrived struct{ Arrived int64 }
	if !load.Within(5*time.Second, 10*time.Millisecond, func() bool {
		_, body, _ := b.do("GET", "put/"+id+"/0", nil)
		return json.Unmarshal(body, &arrived) == nil && arrived.Arrived == 300_000
	}) {
		t.Fatalf("%d bytes of the broken upload were kept", arrived.Arrived)
	}
	if !load.Within(5*time.Second, 10*time.Millisecond, func() bool { // wait until the broken stream has ended
		status, _, _ := b.do("PUT", "put/"+id+"/0?from=300000", bytes.NewReader(content[300_000:]))
		return status == http.StatusOK
	}) {
		t.Error("the upload does not continue")
	}
	for n, body := range map[int]string{1: "", 2: "hello"} {
		if status, answer, _ := b.do("PUT", fmt.Sprintf("put/%s/%d", id, n), strings.NewReader(body)); status != http.StatusOK {
			t.Errorf("%d: %d %s", n, status, answer)
		}
	}
	if status, body, _ := b.do("POST", "finish/"+id, nil); status != http.StatusOK || !strings.Contains(string(body), `"files":3`) {
		t.Errorf("finish: %d %s", status, body)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "trip", "1.bin")); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if info, err := os.Stat(filepath.Join(dir, "trip", "1.bin")); err != nil || info.ModTime().UnixMilli() != 1_600_000_000_000 {
		t.Errorf("%v, %v", info, err)
	}
	if r := of[Received](seen); len(r) != 1 || r[0].Err != nil || r[0].Result.Files != 3 || r[0].Result.LeftOut != 0 {
		t.Errorf("received %+v", r)
	}

	go func() { <-asked; answer <- errors.New("no") }()
	id, state = b.offer(offeredFile{"x", 1, 0})
	if state != declined {
		t.Errorf("declined: %s", state)
	}
	if status, _, _ := b.do("PUT", "put/"+id+"/0", strings.NewReader("x")); status != http.StatusForbidden {
		t.Errorf("a file that was declined: %d", status)
	}
}

// TestLink_NamesWhatDidNotArrive: files that are refused, or that the page gives up, are named with their reasons.
func TestLink_NamesWhatDidNotArrive(t *testing.T) {
	l, seen := openLink(t, Options{Dir: t.TempDir(), Ask: func(context.Context, Upload) error { return nil }})
	b := newBrowser(t, l)
	b.open("")
	id, _ := b.offer(offeredFile{"good.txt", 5, 0}, offeredFile{"film.mkv", 1 << 50, 0}, offeredFile{"again.txt", 5, 0}, offeredFile{"never.txt", 5, 0})
	for n := range 3 {
		b.do("PUT", fmt.Sprintf("put/%s/%d", id, n), strings.NewReader("hello"))
	}
	b.do("POST", "finish/"+id, nil)
	l.Close()
	r := of[Received](seen)
	if len(r) != 1 || r[0].Result.Files != 2 || r[0].Result.LeftOut != 2 || !errors.Is(r[0].Err, transfer.ErrDiskFull) {
		t.Fatalf("received %+v", r)
	}
	left := map[string]error{}
	for _, n := range r[0].Result.Notes {
		left[n.Path] = n.Err
	}
	if len(left) != 2 || !errors.Is(left["film.mkv"], transfer.ErrDiskFull) || !errors.Is(left["never.txt"], transfer.ErrInterrupted) {
		t.Errorf("left out %v", left)
	}
}

// breaking is a body that fails.
type breaking struct{}

func (breaking) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestLink_WorksWithoutJavaScript checks the plain form; the question shows the name of its first file.
func TestLink_WorksWithoutJavaScript(t *testing.T) {
	dir := t.TempDir()
	var asked []Upload
	l, seen := openLink(t, Options{Dir: dir, Ask: func(_ context.Context, u Upload) error {
		asked = append(asked, u)
		if len(asked) == 2 {
			return errors.New("no")
		}
		return nil
	}})
	b := newBrowser(t, l)
	b.open("")
	for n, want := range []int{http.StatusOK, http.StatusForbidden} {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		for _, name := range []string{"one.txt", `..\two.txt`, "../../three.txt"} {
			w, err := form.CreateFormFile("files", name)
			if err != nil {
				t.Fatal(err)
			}
			_, _ = w.Write([]byte(name))
		}
		_ = form.Close()
		if status, page, _ := b.do("POST", "upload", &body, "Content-Type", form.FormDataContentType()); status != want {
			t.Errorf("%d: %d %s", n, status, page)
		}
	}
	for _, name := range []string{"one.txt", "two.txt", "three.txt"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	w, err := form.CreateFormFile("files", strings.Repeat("x", 5000))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write([]byte("x"))
	_ = form.Close()
	_, _, _ = b.do("POST", "upload", &body, "Content-Type", form.FormDataContentType()) // a name of 5,000 bytes is refused without asking
	if len(asked) != 2 || asked[0].Names[0] != "one.txt" || asked[0].Bytes != transfer.Unknown {
		t.Errorf("asked %+v", asked)
	}
	if status, _, _ := b.do("POST", "text", strings.NewReader("text=hello+there"), "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusOK {
		t.Errorf("a text: %d", status)
	}
	if said := of[Said](seen); len(said) != 1 || said[0].Text != "hello there" {
		t.Errorf("said %+v", said)
	}
}

// TestLink_GivesNothingAway checks that requests without the secret path, for another host name or from another page
// get nothing, and that guessing is stopped.
func TestLink_GivesNothingAway(t *testing.T) {
	dir := tree(t, map[string]string{"x": "x"})
	l, _ := openLink(t, Options{Paths: []string{filepath.Join(dir, "x")}, Dir: dir, Visitors: 2})
	b := newBrowser(t, l)
	b.open("")
	base := b.base
	port := fmt.Sprint(l.Port())
	for what, c := range map[string]struct {
		method, path string
		header       []string
		want         int
	}{
		"another host":         {"GET", "file/0", []string{"Host", "evil.example:" + port}, http.StatusNotFound},
		"another address":      {"GET", "file/0", []string{"Host", "192.168.77.77:" + port}, http.StatusNotFound},
		"another port":         {"GET", "file/0", []string{"Host", "127.0.0.1:1"}, http.StatusNotFound},
		"another origin":       {"POST", "text", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		"no origin":            {"POST", "text", []string{"Origin", ""}, http.StatusForbidden},
		"a null origin":        {"POST", "offer", []string{"Origin", "null"}, http.StatusForbidden},
		"a path that climbs":   {"GET", "file/../../x", nil, http.StatusNotFound},
		"a number of no file":  {"GET", "file/7", nil, http.StatusNotFound},
		"a method of no route": {"DELETE", "file/0", nil, http.StatusNotFound},
	} {
		if status, _, _ := b.do(c.method, c.path, nil, c.header...); status != c.want && status != http.StatusNotFound {
			t.Errorf("%s: %d", what, status)
		}
	}
	b.base = strings.Replace(base, l.token, "aaaa-aaaa", 1)
	answered := 0
	for range 2 * maxWrongPerAddr {
		if status, _, _ := b.do("GET", "", nil); status == http.StatusNotFound {
			answered++
		}
	}
	if answered > maxWrongPerAddr {
		t.Errorf("%d wrong paths were answered", answered)
	}
	b.base = base
	if status, _, _ := b.do("GET", "file/0", nil); status != http.StatusOK { // any page can make its browser send such requests
		t.Errorf("the visitor of that address gets %d", status)
	}
}

// TestLink_ConnectionsOfAnAddressAreLimited checks that new connections replace those that have not used the secret
// path, and that connections of visitors stay.
func TestLink_ConnectionsOfAnAddressAreLimited(t *testing.T) {
	l, _ := openLink(t, Options{Text: "x"})
	var silent []net.Conn
	for range maxConnsPerAddr {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Port()))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	b := newBrowser(t, l)
	if status, _, _ := b.do("GET", "", nil); status != http.StatusOK {
		t.Errorf("with silent connections: %d", status)
	}
	_ = silent[0].SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := silent[0].Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("the oldest silent connection stays: %v", err)
	}
	u, _ := url.Parse(b.base)
	var busy []net.Conn // connections of visitors
	for range maxConnsPerAddr {
		c, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host)
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err == nil {
			busy = append(busy, c)
		}
	}
	if len(busy) < maxConnsPerAddr-1 || len(busy) > maxConnsPerAddr {
		t.Errorf("%d visitors are served", len(busy))
	}
	one, err := net.Dial("tcp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer one.Close()
	fmt.Fprintf(one, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", u.Path, u.Host)
	if r, err := http.ReadResponse(bufio.NewReader(one), nil); err == nil {
		t.Errorf("one more of that address is answered: %s", r.Status)
	}
}

// TestLink_PINAndVisitors checks that a wrong PIN is refused, that another browser can neither open nor close a link
// that is in use, and that five wrong PINs close a link that is not in use.
func TestLink_PINAndVisitors(t *testing.T) {
	l, _ := openLink(t, Options{Text: "x", PIN: "4711"})
	a, b := newBrowser(t, l), newBrowser(t, l)
	if status := a.open("4712"); status != http.StatusForbidden {
		t.Errorf("a wrong PIN: %d", status)
	}
	if status := a.open(" 4711 "); status != http.StatusOK {
		t.Errorf("the PIN: %d", status)
	}
	for range 2 * maxWrongPINs {
		if status := b.open("0000"); status != http.StatusConflict {
			t.Errorf("a second browser: %d", status)
		}
	}
	if status, _, _ := a.do("GET", "", nil); status != http.StatusOK {
		t.Errorf("the owner gets %d", status)
	}
	free, _ := openLink(t, Options{Text: "x"})
	if status := newBrowser(t, free).open("1"); status != http.StatusOK {
		t.Errorf("a PIN where none is needed: %d", status)
	}
	several, _ := openLink(t, Options{Text: "x", PIN: "4711", Visitors: 3})
	first, second := newBrowser(t, several), newBrowser(t, several)
	first.open("4711")
	for range maxWrongPINs {
		second.open("0000")
	}
	if status := second.open("4711"); status != http.StatusConflict {
		t.Errorf("after too many wrong PINs: %d", status)
	}
	if status, _, _ := first.do("GET", "", nil); status != http.StatusOK {
		t.Errorf("wrong PINs of another browser end a visit: %d", status)
	}
	guessed, _ := openLink(t, Options{Text: "x", PIN: "4711"})
	c := newBrowser(t, guessed)
	for range maxWrongPINs {
		c.open("0000")
	}
	select {
	case <-guessed.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("guesses do not close the link")
	}
	if !errors.Is(guessed.Err(), ErrGuessed) {
		t.Errorf("ended with %v", guessed.Err())
	}
}

// TestLink_Expires checks that an idle link ends on its own and ends its uploads, whose complete files are kept.
func TestLink_Expires(t *testing.T) {
	dir := t.TempDir()
	l, seen := openLink(t, Options{Dir: dir, Idle: 300 * time.Millisecond})
	b := newBrowser(t, l)
	b.open("")
	id, _ := b.offer(offeredFile{"whole", 2, 0}, offeredFile{"part", 10, 0})
	_, _, _ = b.do("PUT", "put/"+id+"/0", strings.NewReader("ok"))
	select {
	case <-l.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("the link does not end")
	}
	if !errors.Is(l.Err(), ErrExpired) {
		t.Errorf("ended with %v", l.Err())
	}
	list, _ := os.ReadDir(dir)
	if len(list) != 1 || list[0].Name() != "whole" {
		t.Errorf("the folder has %v", list)
	}
	if r := of[Received](seen); len(r) != 1 || r[0].Result.LeftOut != 1 || r[0].Err == nil {
		t.Errorf("received %+v", r)
	}
	if status, _, _ := b.do("GET", "", nil); status != 0 {
		t.Errorf("the link still answers: %d", status)
	}
}

// TestLink_LimitsHold checks that uploads cannot exceed what was announced and accepted, and that only a few can wait.
func TestLink_LimitsHold(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLink(t, Options{Dir: dir, Most: transfer.Totals{Bytes: 100}, Visitors: 2})
	b := newBrowser(t, l)
	b.open("")
	id, _ := b.offer(offeredFile{"long", 5, 0})
	if status, _, _ := b.do("PUT", "put/"+id+"/0", strings.NewReader("123456")); status == http.StatusOK {
		t.Error("more than was announced was accepted")
	}
	id, _ = b.offer(offeredFile{"large", 101, 0})
	if status, body, _ := b.do("PUT", "put/"+id+"/0", strings.NewReader(strings.Repeat("x", 101))); status != http.StatusRequestEntityTooLarge {
		t.Errorf("more than the link takes: %d %s", status, body)
	}
	for what, files := range map[string][]offeredFile{
		"none":     {},
		"negative": {{"x", -1, 0}},
		"huge":     {{"x", 1 << 62, 0}},
		"no name":  {{"", 1, 0}},
		"absolute": {{"/etc/passwd", 1, 0}},
	} {
		if id, state := b.offer(files...); id != "" {
			t.Errorf("%s: %s", what, state)
		}
	}
	id, _ = b.offer(offeredFile{"own", 1, 0})
	other := newBrowser(t, l)
	other.open("")
	if status, _, _ := other.do("PUT", "put/"+id+"/0", strings.NewReader("x")); status != http.StatusNotFound {
		t.Errorf("another browser's upload: %d", status)
	}
	wait := make(chan struct{})
	defer close(wait)
	slow, _ := openLink(t, Options{Dir: dir, Ask: func(ctx context.Context, _ Upload) error {
		select {
		case <-wait:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}})
	b = newBrowser(t, slow)
	b.open("")
	body, _ := json.Marshal(map[string]any{"files": []offeredFile{{"x", 1, 0}}})
	taken := 0
	for range 10 {
		if status, _, _ := b.do("POST", "offer", bytes.NewReader(body)); status == http.StatusOK {
			taken++
		}
	}
	if taken != maxAsking {
		t.Errorf("%d uploads wait", taken)
	}
}

// TestLink_QuestionsAndTextsAreLimited checks that questions and messages from a visitor are limited, and that a person
// who declines three times is not asked again.
func TestLink_QuestionsAndTextsAreLimited(t *testing.T) {
	asked := 0
	l, seen := openLink(t, Options{Dir: t.TempDir(), Visitors: 2, Ask: func(context.Context, Upload) error { asked++; return errors.New("no") }})
	b := newBrowser(t, l)
	b.open("")
	for range 10 {
		b.offer(offeredFile{"x", 1, 0})
	}
	if asked != maxDeclined {
		t.Errorf("asked %d times", asked)
	}
	accepting, _ := openLink(t, Options{Dir: t.TempDir()})
	c := newBrowser(t, accepting)
	c.open("")
	ids := map[string]bool{}
	for range 20 {
		if id, _ := c.offer(offeredFile{"x", 1, 0}); id != "" {
			ids[id] = true
		}
	}
	if len(ids) != maxOpenOfOne {
		t.Errorf("%d uploads of one visitor are open", len(ids))
	}
	for id := range ids {
		_, _, _ = c.do("POST", "finish/"+id, nil)
	}
	more := 0
	for range 20 {
		if id, _ := c.offer(offeredFile{"x", 1, 0}); id != "" {
			_, _, _ = c.do("POST", "finish/"+id, nil)
			more++
		}
	}
	if len(ids)+more > asksAtOnce+1 {
		t.Errorf("%d uploads at once", len(ids)+more)
	}
	for range 50 {
		_, _, _ = b.do("POST", "text", strings.NewReader("text=hello"), "Content-Type", "application/x-www-form-urlencoded")
	}
	if n := len(of[Said](seen)); n < textsAtOnce || n > textsAtOnce+2 {
		t.Errorf("%d messages were passed on", n)
	}
	other := newBrowser(t, l)
	other.open("")
	if status, _, _ := other.do("POST", "text", strings.NewReader("text="+strings.Repeat("x", 100_001)), "Content-Type", "application/x-www-form-urlencoded"); status != http.StatusRequestEntityTooLarge {
		t.Errorf("a long text: %d", status)
	}
}

// TestLink_AnnouncementsAreBounded checks that announcements take little memory: long lists are cut off early, one is
// read at a time, and nothing is kept after an upload has ended.
func TestLink_AnnouncementsAreBounded(t *testing.T) {
	l, _ := openLink(t, Options{Dir: t.TempDir(), Ask: func(context.Context, Upload) error { return errors.New("no") }})
	b := newBrowser(t, l)
	b.open("")
	for what, body := range map[string]string{
		"too many":    `{"files":[` + strings.Repeat(`{"path":"x"},`, maxOfferedFiles+1) + `{"path":"x"}]}`,
		"empty ones":  `{"files":[` + strings.Repeat(`{},`, 1000) + `{}]}`,
		"a long name": `{"files":[{"path":"` + strings.Repeat("x", 2000) + `"}]}`,
		"no list":     `{"files":7}`,
		"no object":   `[]`,
		"nothing":     ``,
	} {
		if status, _, _ := b.do("POST", "offer", strings.NewReader(body)); status != http.StatusBadRequest {
			t.Errorf("%s: %d", what, status)
		}
	}
	l.uploads.startParsing(Visitor{Number: 1})
	if status, _, _ := b.do("POST", "offer", strings.NewReader(`{"files":[{"path":"x"}]}`)); status != http.StatusTooManyRequests {
		t.Errorf("two at once: %d", status)
	}
	l.uploads.endParsing(Visitor{Number: 1})
	deep := ""
	for i := range 100 {
		deep += fmt.Sprintf(`{"path":"%d%s/x"},`, i, strings.Repeat("/d", maxOfferedFolders/100))
	}
	if status, _, _ := b.do("POST", "offer", strings.NewReader(`{"files":[`+deep+`{"path":"x"}]}`)); status != http.StatusBadRequest {
		t.Errorf("too many folders: %d", status)
	}
	refused := 0
	for range 2 * announcementsAtOnce {
		if status, _, _ := b.do("POST", "offer", strings.NewReader("{}")); status == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("every announcement is read")
	}
	l.uploads.mu.Lock()
	kept := len(l.uploads.byID)
	l.uploads.mu.Unlock()
	if kept > keptEnded {
		t.Errorf("%d uploads are kept", kept)
	}
}

// TestLink_SlowAnnouncementDelaysNobodyElse checks that a visitor whose announcement stalls delays only its own
// uploads, and for a limited time.
func TestLink_SlowAnnouncementDelaysNobodyElse(t *testing.T) {
	l, _ := openLink(t, Options{Dir: t.TempDir(), Visitors: 2, stalls: 4 * time.Second})
	slow, other := newBrowser(t, l), newBrowser(t, l)
	slow.open("")
	other.open("")
	body, feed := io.Pipe()
	defer feed.Close()
	began := time.Now()
	ended := make(chan int, 1)
	go func() {
		status, _, _ := slow.do("POST", "offer", body)
		ended <- status
	}()
	_, _ = feed.Write([]byte("{"))
	if !load.Within(5*time.Second, time.Millisecond, func() bool {
		l.uploads.mu.Lock()
		defer l.uploads.mu.Unlock()
		return len(l.uploads.parsing) == 1
	}) {
		t.Fatal("the announcement is not read")
	}
	if id, state := other.offer(offeredFile{"x", 1, 0}); id == "" {
		t.Errorf("the other visitor: %s", state)
	}
	for alive := true; alive; {
		select {
		case <-ended:
			alive = false
		case <-time.After(100 * time.Millisecond):
			_, _ = feed.Write([]byte(" "))
		}
		if time.Since(began) > 20*time.Second {
			t.Fatal("the request is still read")
		}
	}
}

// TestLink_FormsTakeLittleMemory checks that the headers of a form are limited before anyone is asked, and that a form
// without files is not read further.
func TestLink_FormsTakeLittleMemory(t *testing.T) {
	var asked atomic.Int64
	l, _ := openLink(t, Options{Dir: t.TempDir(), Ask: func(context.Context, Upload) error { asked.Add(1); return errors.New("no") }})
	b := newBrowser(t, l)
	b.open("")
	const kind = "multipart/form-data; boundary=x"
	for what, part := range map[string]string{
		"a long header": strings.Repeat("a", 100),
		"other fields":  "\r\n--x\r\nContent-Disposition: form-data; name=other\r\n\r\nhello",
	} {
		start := "--x\r\nContent-Disposition: form-data; name=files; filename=\""
		if what == "other fields" {
			start = "--x\r\nContent-Disposition: form-data; name=other\r\n\r\nhello"
		}
		sent := &repeated{text: part, most: 64 << 20}
		b.do("POST", "upload", io.MultiReader(strings.NewReader(start), sent), "Content-Type", kind)
		if asked.Load() > 0 {
			t.Errorf("%s: a person was asked", what)
		}
		if n := sent.n.Load(); n >= 8<<20 {
			t.Errorf("%s: %d MiB were read", what, n>>20)
		}
	}
	b.do("POST", "upload", strings.NewReader("--x\r\nContent-Disposition: form-data; name=files; filename=a\r\n\r\n"+strings.Repeat("y", 1<<20)+"\r\n--x--\r\n"), "Content-Type", kind)
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times about a plain form", n)
	}
}

// repeated is a reader that repeats a string. As the body of a request, it may still be read after the response has
// arrived.
type repeated struct {
	text string
	most int64
	n    atomic.Int64
}

func (r *repeated) Read(b []byte) (int, error) {
	if r.n.Load() >= r.most {
		return 0, io.EOF
	}
	n := 0
	for len(b)-n >= len(r.text) {
		n += copy(b[n:], r.text)
	}
	r.n.Add(int64(n))
	return n, nil
}

// TestLink_ReadsWithABodyEnd checks that a GET request cannot keep its connection open with a body.
func TestLink_ReadsWithABodyEnd(t *testing.T) {
	dir := tree(t, map[string]string{"one": "1"})
	l, _ := openLink(t, Options{Paths: []string{filepath.Join(dir, "one")}})
	b := newBrowser(t, l)
	b.open("")
	if status, _, _ := b.do("GET", "file/0", strings.NewReader("x")); status != 0 {
		t.Errorf("a body with GET: %d", status)
	}
	if status, _, _ := b.do("GET", "file/0", nil); status != http.StatusOK {
		t.Errorf("without: %d", status)
	}
}

// TestLink_LongDownloadsAreServed checks that a download may take longer than a body may stall.
func TestLink_LongDownloadsAreServed(t *testing.T) {
	dir := tree(t, map[string]string{"all/a": strings.Repeat("x", 8<<20), "all/b": strings.Repeat("y", 8<<20)})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "all")}, stalls: time.Second})
	b := newBrowser(t, l)
	b.open("")
	for _, path := range []string{"all.zip", "file/0"} {
		res, err := b.http.Get(b.base + path)
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for began := time.Now(); err == nil; time.Sleep(100 * time.Millisecond) {
			most := res.ContentLength/30 + 1
			if time.Since(began) > 2500*time.Millisecond {
				most = res.ContentLength
			}
			var m int64
			m, err = io.CopyN(io.Discard, res.Body, most)
			n += m
		}
		if n != res.ContentLength || !errors.Is(err, io.EOF) {
			t.Errorf("%s: %d of %d bytes, %v", path, n, res.ContentLength, err)
		}
		_ = res.Body.Close()
	}
	l.Close()
	if sent := of[Sent](seen); len(sent) != 2 {
		t.Errorf("downloaded: %v", sent)
	}
}

// TestLink_RepeatedDownloadsTakeNoMemory checks that a visitor cannot make the link keep or report more entries than
// there are files.
func TestLink_RepeatedDownloadsTakeNoMemory(t *testing.T) {
	dir := tree(t, map[string]string{"one": "1"})
	l, seen := openLink(t, Options{Paths: []string{filepath.Join(dir, "one")}})
	b := newBrowser(t, l)
	b.open("")
	for i := range 20 {
		for _, path := range []string{"file/0", "all.zip", fmt.Sprintf("file/%0*d", i+2, 0), "file/+0", fmt.Sprintf("all.zip/%d", i)} {
			status, _, _ := b.do("GET", path, nil)
			if known := path == "file/0" || path == "all.zip"; known != (status == http.StatusOK) {
				t.Fatalf("%s: %d", path, status)
			}
		}
		b.do("GET", "all.zip", nil, "Range", "bytes=0-0")
	}
	l.share.sent.mu.Lock()
	kept := len(l.share.sent.has) + len(l.share.sent.reported)
	l.share.sent.mu.Unlock()
	if kept > 4 {
		t.Errorf("%d entries are kept", kept)
	}
	l.Close()
	if sent := of[Sent](seen); len(sent) != 2 {
		t.Errorf("%d downloads are reported", len(sent))
	}
}

// TestLink_MostHoldsForParallelUploads checks that parallel uploads together do not exceed the limit of the link.
func TestLink_MostHoldsForParallelUploads(t *testing.T) {
	dir := t.TempDir()
	l, _ := openLink(t, Options{Dir: dir, Most: transfer.Totals{Files: 2, Bytes: 1000}})
	b := newBrowser(t, l)
	b.open("")
	var ids []string
	for i := range maxOpenOfOne {
		if id, _ := b.offer(offeredFile{fmt.Sprint(i), 400, 0}); id != "" {
			ids = append(ids, id)
		}
	}
	for _, id := range ids {
		_, _, _ = b.do("PUT", "put/"+id+"/0", strings.NewReader(strings.Repeat("x", 400)))
	}
	if list, _ := os.ReadDir(dir); len(list) > 3 { // including the staging folder
		t.Errorf("%d files were stored", len(list)-1)
	}
}

// TestLink_StalledRequestsEnd checks that requests whose body never arrives are ended.
func TestLink_StalledRequestsEnd(t *testing.T) {
	l, _ := openLink(t, Options{Text: "x"})
	for what, request := range map[string]string{
		"a stray":           "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"OPTIONS *":         "OPTIONS * HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n",
		"another page's":    "POST /" + l.token + "/open HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nOrigin: http://evil\r\nContent-Length: 1000000\r\n\r\n",
		"a file for no one": "PUT /" + l.token + "/put/x/0 HTTP/1.1\r\nHost: 127.0.0.1:PORT\r\nContent-Length: 1000000\r\n\r\n",
	} {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", l.Port()))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, strings.ReplaceAll(request, "PORT", fmt.Sprint(l.Port())))
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil && os.IsTimeout(err) {
			t.Errorf("%s: the connection stays", what)
		}
		_ = c.Close()
	}
}

// TestTexts_AllLanguagesHaveAllKeys checks the languages of the page.
func TestTexts_AllLanguagesHaveAllKeys(t *testing.T) {
	for _, lang := range languages {
		for key, en := range texts["en"] {
			text, known := texts[lang][key]
			if !known || text == "" {
				t.Errorf("%s has no %q", lang, key)
			}
			for _, mark := range []string{"{name}", "{n}", "{done}", "{total}"} {
				if strings.Count(text, mark) != strings.Count(en, mark) && mark != "{name}" {
					t.Errorf("%s, %q: %s", lang, key, mark)
				}
			}
		}
		if len(texts[lang]) != len(texts["en"]) {
			t.Errorf("%s has %d texts", lang, len(texts[lang]))
		}
	}
	for _, r := range reasons {
		if _, known := texts["en"][r.code]; !known {
			t.Errorf("no text for %q", r.code)
		}
	}
	for header, want := range map[string]string{"": "en", "de-DE,de;q=0.9,en;q=0.8": "de", "ja, fr;q=0.5": "fr", "zh-CN": "zh", "x;q=oops": "en", "en;q=0.1, fi;q=0.2": "fi"} {
		if got := languageOf(header); got != want {
			t.Errorf("%q: %s", header, got)
		}
	}
}

// TestLink_LongTextIsRefused: a text that is too long is never reported as sent, however long its encoding is.
func TestLink_LongTextIsRefused(t *testing.T) {
	for what, text := range map[string]string{"bytes": strings.Repeat("x", 310_000), "encoded": strings.Repeat("字", 34_000), "much": strings.Repeat("字", 200_000)} {
		l, seen := openLink(t, Options{Dir: t.TempDir()})
		b := newBrowser(t, l)
		b.open("")
		form := url.Values{"text": {text}}.Encode()
		status, _, _ := b.do("POST", "text", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json")
		if status != http.StatusRequestEntityTooLarge || len(of[Said](seen)) != 0 {
			t.Errorf("%s: %d, %d messages", what, status, len(of[Said](seen)))
		}
	}
	l, seen := openLink(t, Options{Dir: t.TempDir()})
	b := newBrowser(t, l)
	b.open("")
	form := url.Values{"text": {strings.Repeat("字", 33_333)}}.Encode()
	if status, _, _ := b.do("POST", "text", strings.NewReader(form), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json"); status != http.StatusOK || len(of[Said](seen)) != 1 {
		t.Errorf("the longest text: %d, %d messages", status, len(of[Said](seen)))
	}
	for _, bad := range []string{"text=%zz", "text=", "other=1"} {
		if status, _, _ := b.do("POST", "text", strings.NewReader(bad), "Content-Type", "application/x-www-form-urlencoded", "Accept", "application/json"); status != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, status)
		}
	}
}

// TestForm_SlowBeginningEnds: a form whose first file does not begin soon loses its place to others.
func TestForm_SlowBeginningEnds(t *testing.T) {
	l, _ := openLink(t, Options{Dir: t.TempDir(), stalls: 2 * time.Second})
	b := newBrowser(t, l)
	b.open("")
	body, feed := io.Pipe()
	defer feed.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _, _ = b.do("POST", "upload", body, "Content-Type", "multipart/form-data; boundary=b")
	}()
	go func() {
		for {
			if _, err := feed.Write([]byte("-")); err != nil {
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	}()
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Error("the form is still read")
	}
}
