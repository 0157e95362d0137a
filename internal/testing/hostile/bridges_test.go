//go:build linux

package hostile

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/bridge/localsend"
	"multipeer/bridge/web"
	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// The states in which attacks on the bridges happen.
const (
	onLocalSend = "LocalSend"
	onLink      = "a browser link"
)

// addLocalSend adds a LocalSend gateway to the victim.
func addLocalSend(cfg *engine.Config) (*localsend.Gateway, error) {
	g, err := localsend.New(localsend.Options{Dir: cfg.Profile, Interfaces: []string{"lo"}})
	if err == nil {
		cfg.Gateways = append(cfg.Gateways, g)
	}
	return g, err
}

// openLink opens a link whose person never answers.
func openLink(ctx context.Context, inbox, shared string) (*web.Link, error) {
	return web.Open(ctx, web.Options{
		Name: "victim", Paths: []string{shared}, Dir: inbox, Reserve: -1, Interfaces: []string{"lo"},
		Ask: func(ctx context.Context, _ web.Upload) error {
			<-ctx.Done()
			return ctx.Err()
		},
	})
}

// bridges is what an attacker knows about the victim's bridges.
type bridges struct {
	localSend string // an address
	link      string // the page; its first visitor is the attacker
	client    *http.Client
}

func newBridges(v *victim) *bridges {
	jar, _ := cookiejar.New(nil)
	return &bridges{
		localSend: fmt.Sprintf("127.0.0.1:%d", v.localSend), link: v.link,
		client: &http.Client{Jar: jar, Timeout: 2 * time.Second, Transport: &http.Transport{
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, MaxIdleConnsPerHost: 16,
		}},
	}
}

// at returns the address of the link.
func (b *bridges) at() string {
	u, _ := url.Parse(b.link)
	return u.Host
}

// ask sends a request, and returns the status; 0 if there is no answer.
func (b *bridges) ask(method, to string, body io.Reader, header ...string) int {
	r, err := http.NewRequest(method, to, body)
	if err != nil {
		return 0
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
			continue
		}
		r.Header.Set(header[i], header[i+1])
	}
	res, err := b.client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 1<<20)
	return res.StatusCode
}

// own is the header that the link's own page sends.
func (b *bridges) own() []string { return []string{"Origin", "http://" + b.at()} }

// post sends a request of the link's own page.
func (b *bridges) post(path string, body io.Reader, header ...string) int {
	return b.ask(http.MethodPost, b.link+path, body, append(b.own(), header...)...)
}

// api sends a request to LocalSend's port.
func (b *bridges) api(method, path string, body io.Reader, header ...string) int {
	return b.ask(method, "https://"+b.localSend+"/api/localsend/v2/"+path, body, header...)
}

// refused returns an error if a request was successful.
func refused(status int) error {
	if status >= 200 && status < 400 {
		return fmt.Errorf("answered %d", status)
	}
	return nil
}

// floodWith calls f on a few goroutines for a while.
func floodWith(f func(n int)) error {
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			n := i
			for end := time.Now().Add(floodTime); time.Now().Before(end); n += 8 {
				f(n)
			}
		})
	}
	all.Wait()
	return nil
}

// rawTo writes bytes to a port, and holds many such connections open for a while.
func rawTo(at string, connections int, text string) error {
	var open []net.Conn
	for range connections {
		c, err := net.DialTimeout("tcp", at, time.Second)
		if err != nil {
			continue
		}
		_, _ = io.WriteString(c, text)
		open = append(open, c)
	}
	time.Sleep(floodTime / 2)
	for _, c := range open {
		_ = c.Close()
	}
	return nil
}

// endless is a body that does not end.
type endless struct{ slow time.Duration }

func (e endless) Read(b []byte) (int, error) {
	time.Sleep(e.slow)
	n := len(b)
	if e.slow > 0 {
		n = 1
	}
	copy(b[:n], bytes.Repeat([]byte("[\"a\","), n/5+1))
	return n, nil
}

// offerOf is a LocalSend offer of one file.
func offerOf(alias, name string, size any) io.Reader {
	b, _ := json.Marshal(map[string]any{
		"info":  map[string]any{"alias": alias, "version": "2.1", "fingerprint": "x", "port": 53999, "protocol": "https", "deviceType": "mobile"},
		"files": map[string]any{"0": map[string]any{"id": "0", "fileName": name, "size": size, "fileType": "text/plain"}},
	})
	return bytes.NewReader(b)
}

// evilNames are names under which nothing may be stored.
var evilNames = map[string]string{
	"up": "../../evil", "backslashes": `..\..\evil`, "absolute": "/tmp/evil", "a drive": `C:\evil`, "a device": "CON", "NUL": "a\x00b",
	"a line break": "a\r\nX-Evil: 1", "a hidden file": ".bashrc", "a shortcut": "desktop.ini", "Git": ".git/hooks/post-checkout",
	"the staging folder": ".multipeer-partial/x/journal", "300 characters": strings.Repeat("n", 300), "300 folders": strings.Repeat("d/", 300) + "f",
	"reversed text": "evil\u202etxt.exe", "not UTF-8": "a\xff\xfe", "empty": "", "dots": "..", "an alternate stream": "a:b",
}

// bridgeAttacks are the attacks on the bridges.
func bridgeAttacks() (all []attack) {
	add := func(state, name, want string, run func(b *bridges) error) {
		all = append(all, attack{state, name, want, func(a *attacker) error { return run(newBridges(a.v)) }})
	}
	for what, name := range evilNames {
		add(onLocalSend, "a name: "+what, "nothing is stored", func(b *bridges) error {
			b.client.Timeout = 300 * time.Millisecond // a person is asked about names that are allowed
			return refused(b.api("POST", "prepare-upload", offerOf("x", name, 5)))
		})
		add(onLink, "a name: "+what, "nothing is stored", func(b *bridges) error {
			b.post("open", nil)
			text, _ := json.Marshal(map[string]any{"files": []any{map[string]any{"path": name, "size": 5}}})
			b.post("offer", bytes.NewReader(text))
			return refused(b.ask("PUT", b.link+"put/1/0?from=0", strings.NewReader("evil!"), b.own()...))
		})
	}
	for what, size := range map[string]any{"a negative size": -1, "a size of 2^63": json.Number("9223372036854775808"), "a size in text": "5", "a size of 1e400": json.Number("1e400")} {
		add(onLocalSend, what, "400", func(b *bridges) error {
			b.client.Timeout = 300 * time.Millisecond
			return refused(b.api("POST", "prepare-upload", offerOf("x", "f", size)))
		})
		add(onLink, what, "400", func(b *bridges) error {
			b.post("open", nil)
			text, _ := json.Marshal(map[string]any{"files": []any{map[string]any{"path": "f", "size": size}}})
			return refused(b.post("offer", bytes.NewReader(text)))
		})
	}
	for what, path := range map[string]string{"prepare-upload": "prepare-upload", "register": "register", "upload": "upload?sessionId=1&fileId=0&token=1"} {
		add(onLocalSend, "an endless body: "+what, "ends", func(b *bridges) error { return refused(b.api("POST", path, endless{})) })
		add(onLocalSend, "a slow body: "+what, "ends", func(b *bridges) error {
			return floodWith(func(int) { b.api("POST", path, endless{20 * time.Millisecond}) })
		})
		add(onLocalSend, "a flood: "+what, "limited", func(b *bridges) error {
			b.client.Timeout = 200 * time.Millisecond
			return floodWith(func(n int) { b.api("POST", path, offerOf(fmt.Sprint("alias ", n), "f", n)) })
		})
	}
	add(onLocalSend, "a flood: info", "answers", func(b *bridges) error {
		return floodWith(func(int) { b.api("GET", "info", nil) })
	})
	add(onLocalSend, "a flood: cancel", "403", func(b *bridges) error {
		return floodWith(func(n int) { b.api("POST", fmt.Sprint("cancel?sessionId=", n), nil) })
	})
	add(onLocalSend, "an alias with a line break", "a cleaned name", func(b *bridges) error {
		b.client.Timeout = 300 * time.Millisecond
		return refused(b.api("POST", "prepare-upload", offerOf("a\r\nb\x1b[2J", "f", 5)))
	})
	add(onLocalSend, "an alias of 1 MB", "refused or cut", func(b *bridges) error {
		b.client.Timeout = 300 * time.Millisecond
		return refused(b.api("POST", "prepare-upload", offerOf(strings.Repeat("a", 1<<20), "f", 5)))
	})
	add(onLocalSend, "100,001 files", "refused", func(b *bridges) error {
		files := map[string]any{}
		for i := range 100_001 {
			files[fmt.Sprint(i)] = map[string]any{"id": fmt.Sprint(i), "fileName": fmt.Sprint(i), "size": 1, "fileType": "text/plain"}
		}
		text, _ := json.Marshal(map[string]any{"info": map[string]any{"alias": "x", "version": "2.1", "fingerprint": "x", "port": 1, "protocol": "https"}, "files": files})
		return refused(b.api("POST", "prepare-upload", bytes.NewReader(text)))
	})
	add(onLocalSend, "a web page as the sender", "403", func(b *bridges) error {
		return refused(b.api("POST", "prepare-upload", offerOf("x", "f", 5), "Origin", "http://evil.example"))
	})
	for _, method := range []string{"PUT", "DELETE", "TRACE", "PATCH"} {
		add(onLocalSend, "method "+method, "405", func(b *bridges) error { return refused(b.api(method, "prepare-upload", nil)) })
		add(onLink, "method "+method, "refused", func(b *bridges) error {
			b.post("open", nil)
			return refused(b.ask(method, b.link+"offer", nil, b.own()...))
		})
	}
	add(onLocalSend, "TLS handshakes", "limited", func(b *bridges) error {
		return floodWith(func(int) {
			c, err := tls.DialWithDialer(&net.Dialer{Timeout: time.Second}, "tcp", b.localSend, &tls.Config{InsecureSkipVerify: true})
			if err == nil {
				_ = c.Close()
			}
		})
	})
	for state, at := range map[string]func(*bridges) string{onLocalSend: func(b *bridges) string { return b.localSend }, onLink: (*bridges).at} {
		add(state, "1,000 connections", "limited", func(b *bridges) error { return rawTo(at(b), 1000, "") })
		add(state, "500 half requests", "limited", func(b *bridges) error { return rawTo(at(b), 500, "POST / HTTP/1.1\r\nHost: x\r\n") })
		add(state, "random bytes", "closed", func(b *bridges) error { return rawTo(at(b), 50, strings.Repeat("\x16\x03\x01\xff\xff\x00", 1000)) })
		add(state, "the preface of HTTP/2", "closed", func(b *bridges) error { return rawTo(at(b), 50, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") })
		add(state, "a header of 10 MB", "closed", func(b *bridges) error {
			return rawTo(at(b), 10, "GET / HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("h", 10<<20))
		})
	}
	add(onLink, "guesses of the secret", "404", func(b *bridges) error {
		return floodWith(func(n int) { b.ask("GET", fmt.Sprintf("http://%s/aaaa-bbbb-%04d/", b.at(), n%10000), nil) })
	})
	add(onLink, "another Host (DNS rebinding)", "404", func(b *bridges) error {
		return refused(b.ask("GET", b.link, nil, "Host", "evil.example"))
	})
	add(onLink, "another Origin (CSRF)", "403", func(b *bridges) error {
		b.post("open", nil)
		return errors.Join(
			refused(b.ask("POST", b.link+"text", strings.NewReader("text=evil"), "Origin", "http://evil.example", "Content-Type", "application/x-www-form-urlencoded")),
			refused(b.ask("POST", b.link+"text", strings.NewReader("text=evil"), "Content-Type", "application/x-www-form-urlencoded")))
	})
	add(onLink, "no cookie", "403", func(b *bridges) error {
		b.client.Jar = nil
		return errors.Join(refused(b.ask("GET", b.link+"file/0", nil)), refused(b.ask("GET", b.link+"all.zip", nil)), refused(b.post("offer", strings.NewReader(`{"files":[]}`))))
	})
	add(onLink, "a forged cookie", "403", func(b *bridges) error {
		b.client.Jar = nil
		return floodWith(func(n int) { b.ask("GET", b.link+"file/0", nil, "Cookie", fmt.Sprint("visitor=", n)) })
	})
	add(onLink, "a path out of the page", "404", func(b *bridges) error {
		for _, path := range []string{"file/../../etc/passwd", "file/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "file/-1", "file/1e9", "file/00", "file/0/x", "..%5c..", "put/../0"} {
			if err := refused(b.ask("GET", b.link+path, nil)); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
		return nil
	})
	add(onLink, "a flood of ranges", "limited", func(b *bridges) error {
		return floodWith(func(n int) {
			b.ask("GET", b.link+"file/0", nil, "Range", "bytes="+strings.Repeat(fmt.Sprintf("%d-%d,", n%10, n%10+1), 500)+"0-1")
		})
	})
	add(onLink, "a flood of archives", "limited", func(b *bridges) error {
		b.post("open", nil)
		return floodWith(func(int) { b.ask("GET", b.link+"all.zip", nil) })
	})
	add(onLink, "an endless offer", "400 or 413", func(b *bridges) error {
		b.post("open", nil)
		return refused(b.post("offer", endless{}))
	})
	add(onLink, "an endless form", "413", func(b *bridges) error {
		b.post("open", nil)
		return refused(b.post("upload", endless{}, "Content-Type", "multipart/form-data; boundary=x"))
	})
	add(onLink, "a text of 10 MB", "413", func(b *bridges) error {
		b.post("open", nil)
		return refused(b.post("text", strings.NewReader("text="+strings.Repeat("a", 10<<20)), "Content-Type", "application/x-www-form-urlencoded"))
	})
	add(onLink, "a flood of texts", "limited", func(b *bridges) error {
		b.post("open", nil)
		return floodWith(func(int) {
			b.post("text", strings.NewReader("text=hello%0d%0a%1b[2J"), "Content-Type", "application/x-www-form-urlencoded")
		})
	})
	add(onLink, "a flood of offers", "limited", func(b *bridges) error {
		b.post("open", nil)
		return floodWith(func(n int) { b.post("offer", strings.NewReader(fmt.Sprintf(`{"files":[{"path":"f%d","size":5}]}`, n))) })
	})
	add(onLink, "slow bodies", "limited", func(b *bridges) error {
		b.post("open", nil)
		return floodWith(func(int) {
			b.post("text", endless{20 * time.Millisecond}, "Content-Type", "application/x-www-form-urlencoded")
		})
	})
	add(onLink, "a body of a request that only reads", "closed", func(b *bridges) error {
		return refused(b.ask("GET", b.link, strings.NewReader("body")))
	})
	return all
}

// TestBridgeAttacks attacks LocalSend's port and a link for browsers, whose person never agrees to anything, and prints
// what each attack costs: nothing is stored, and messages of another peer are as fast as before.
func TestBridgeAttacks(t *testing.T) {
	all := bridgeAttacks()
	if len(all) < 60 {
		t.Fatalf("%d attacks", len(all))
	}
	service = enginetest.Service()
	t.Setenv("MULTIPEER_BRIDGES", "1")
	v := startVictim(t, service)
	h := startHonest(t, v, service)
	answer := func(when string) {
		t.Helper()
		b := newBridges(v)
		for end := time.Now().Add(20 * time.Second); b.api("GET", "info", nil) != http.StatusOK || b.ask("GET", b.link, nil) != http.StatusOK; {
			if time.Now().After(end) {
				t.Fatalf("%s: LocalSend's port answers %d, the link %d", when, b.api("GET", "info", nil), b.ask("GET", b.link, nil))
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	answer("before the attacks")
	held := runAttacks(t, v, h, all, func(i int) bool { return i%8 == 0 })
	answer("after the attacks")
	t.Logf("%d of %d attacks held", held, len(all))
	if found := v.files(); len(found) > 0 {
		t.Errorf("stored: %q", found)
	}
}
