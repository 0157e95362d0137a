//go:build linux

package window

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// phone plays the browser of a phone that opens a link.
type phone struct {
	t    *testing.T
	http *http.Client
	base string
}

func newPhone(t *testing.T, link string) *phone {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &phone{t, &http.Client{Jar: jar, Timeout: time.Minute}, link}
}

func (p *phone) do(method, path, body string) []byte {
	p.t.Helper()
	r, err := http.NewRequest(method, p.base+path, bytes.NewReader([]byte(body)))
	if err != nil {
		p.t.Fatal(err)
	}
	u, err := url.Parse(p.base)
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Origin", u.Scheme+"://"+u.Host)
	r.Header.Set("User-Agent", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X)")
	res, err := p.http.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		p.t.Fatalf("%s %s: %s %s %v", method, path, res.Status, b, err)
	}
	return b
}

// phoneSends makes a phone without Multipeer send a file, which the user accepts in the dialog of the link.
func phoneSends(t *testing.T, w *window) {
	w.click("phone")
	w.saw(`EVT browser link at "http`)
	link := regexp.MustCompile(`EVT browser link at "(http[^"]+)"`).FindStringSubmatch(w.lines())[1]
	p := newPhone(t, link)
	p.do("POST", "open", "")
	w.saw(`EVT browser link web.Opened`)
	const content = "a picture"
	var offer, answer struct{ Offer, State string }
	if err := json.Unmarshal(p.do("POST", "offer", fmt.Sprintf(`{"files":[{"path":"IMG_0001.jpg","size":%d}]}`, len(content))), &offer); err != nil {
		t.Fatal(err)
	}
	w.saw(`EVT upload asked 1`)
	w.picture("phone-asks")
	time.Sleep(1500 * time.Millisecond) // an answer within a second could be meant for an earlier question
	w.click("link-accept")
	if err := json.Unmarshal(p.do("GET", "offer/"+offer.Offer, ""), &answer); err != nil || answer.State != "accepted" {
		t.Fatalf("%v, %v", answer, err)
	}
	p.do("PUT", "put/"+offer.Offer+"/0", content)
	p.do("POST", "finish/"+offer.Offer, "")
	w.saw(`EVT browser link web.Received`)
	if b, err := os.ReadFile(filepath.Join(w.home, "Downloads", "IMG_0001.jpg")); err != nil || string(b) != content {
		t.Errorf("received %q, %v", b, err)
	}
	w.press("Escape")
	w.saw(`EVT browser link stopped`)
}
