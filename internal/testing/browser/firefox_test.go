//go:build linux

package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// browserLife limits how long a browser runs.
const browserLife = 10 * time.Minute

// firefox is driven by WebDriver BiDi (https://w3c.github.io/webdriver-bidi), which Firefox supports natively.
type firefox struct {
	cmd  *exec.Cmd
	conn net.Conn
	tab  string
	mu   sync.Mutex // held during a command: one is in progress at a time
	last int
}

func startFirefox(t *testing.T, program string, o options) page {
	t.Helper()
	dir := t.TempDir()
	prefs := fmt.Sprintf(`user_pref("javascript.enabled", %v);
user_pref("browser.download.folderList", 2);
user_pref("browser.download.dir", %s);
user_pref("browser.download.alwaysOpenPanel", false);
user_pref("dom.disable_beforeunload", true);
`, !o.noScript, quoted(o.saved))
	if err := os.WriteFile(filepath.Join(dir, "user.js"), []byte(prefs), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserLife)
	f := &firefox{cmd: exec.CommandContext(ctx, program, "--headless", "--no-remote", "--profile", dir, "--remote-debugging-port", "0", "--remote-allow-system-access")}
	f.cmd.Env = append(os.Environ(), "HOME="+dir)
	out, err := f.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	at, read := make(chan string, 1), make(chan struct{})
	go func() {
		defer close(read)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if _, url, ok := strings.Cut(lines.Text(), "WebDriver BiDi listening on "); ok {
				at <- url
			}
		}
	}()
	t.Cleanup(func() {
		if f.conn != nil {
			_, _ = f.ask("browser.close", map[string]any{})
			_ = f.conn.Close()
		}
		stop := time.AfterFunc(10*time.Second, cancel)
		<-read
		_ = f.cmd.Wait()
		stop.Stop()
		cancel()
	})
	var url string
	select {
	case url = <-at:
	case <-time.After(time.Minute):
		cancel()
		t.Fatal("firefox does not start")
	}
	if f.conn, _, _, err = ws.Dial(ctx, url+"/session"); err != nil {
		t.Fatal(err)
	}
	if _, err := f.ask("session.new", map[string]any{"capabilities": map[string]any{}}); err != nil {
		t.Fatal(err)
	}
	if f.tab, err = f.context(map[string]any{"maxDepth": 0}); err != nil {
		t.Fatal(err)
	}
	return f
}

// ask sends a command and returns its result.
func (f *firefox) ask(method string, params map[string]any) (json.RawMessage, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last++
	b, err := json.Marshal(map[string]any{"id": f.last, "method": method, "params": params})
	if err != nil {
		return nil, err
	}
	if err := f.conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return nil, err
	}
	if err := wsutil.WriteClientText(f.conn, b); err != nil {
		return nil, err
	}
	for {
		b, err := wsutil.ReadServerText(f.conn)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", method, err)
		}
		var answer struct {
			ID             int
			Type           string
			Result         json.RawMessage
			Error, Message string
		}
		if err := json.Unmarshal(b, &answer); err != nil {
			return nil, err
		}
		switch {
		case answer.ID != f.last: // an event
		case answer.Type == "error":
			return nil, fmt.Errorf("%s: %s: %s", method, answer.Error, answer.Message)
		default:
			return answer.Result, nil
		}
	}
}

// context returns the first browsing context that fits.
func (f *firefox) context(params map[string]any) (string, error) {
	b, err := f.ask("browsingContext.getTree", params)
	if err != nil {
		return "", err
	}
	var tree struct{ Contexts []struct{ Context string } }
	if err := json.Unmarshal(b, &tree); err != nil {
		return "", err
	}
	if len(tree.Contexts) == 0 {
		return "", errors.New("firefox has no page")
	}
	return tree.Contexts[0].Context, nil
}

// find waits for an element and returns a reference to it.
func (f *firefox) find(selector string) (map[string]any, error) {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		b, err := f.ask("browsingContext.locateNodes", map[string]any{"context": f.tab, "locator": map[string]any{"type": "css", "value": selector}})
		var found struct{ Nodes []struct{ SharedID string } }
		if err == nil {
			err = json.Unmarshal(b, &found)
		}
		switch {
		case err == nil && len(found.Nodes) > 0:
			return map[string]any{"sharedId": found.Nodes[0].SharedID}, nil
		case time.Now().After(end):
			return nil, fmt.Errorf("there is no %s: %w", selector, err)
		}
	}
}

func (f *firefox) visit(url string) error {
	_, err := f.ask("browsingContext.navigate", map[string]any{"context": f.tab, "url": url, "wait": "complete"})
	return err
}

func (f *firefox) press(selector string) error {
	element, err := f.find(selector)
	if err != nil {
		return err
	}
	if _, err := f.eval(fmt.Sprintf("(document.querySelector(%s).scrollIntoView({block: 'center'}), '')", quoted(selector))); err != nil {
		return err
	}
	_, err = f.ask("input.performActions", map[string]any{"context": f.tab, "actions": []any{map[string]any{
		"type": "pointer", "id": "mouse", "actions": []any{
			map[string]any{"type": "pointerMove", "x": 0, "y": 0, "origin": map[string]any{"type": "element", "element": element}},
			map[string]any{"type": "pointerDown", "button": 0},
			map[string]any{"type": "pointerUp", "button": 0},
		},
	}}})
	return err
}

func (f *firefox) fill(selector, text string) error {
	if _, err := f.find(selector); err != nil {
		return err
	}
	if _, err := f.eval(fmt.Sprintf("(document.querySelector(%s).focus(), '')", quoted(selector))); err != nil {
		return err
	}
	var keys []any
	for _, r := range text {
		keys = append(keys, map[string]any{"type": "keyDown", "value": string(r)}, map[string]any{"type": "keyUp", "value": string(r)})
	}
	_, err := f.ask("input.performActions", map[string]any{"context": f.tab, "actions": []any{map[string]any{"type": "key", "id": "keys", "actions": keys}}})
	return err
}

func (f *firefox) choose(selector string, paths ...string) error {
	element, err := f.find(selector)
	if err != nil {
		return err
	}
	_, err = f.ask("input.setFiles", map[string]any{"context": f.tab, "element": element, "files": paths})
	return err
}

func (f *firefox) eval(script string) (string, error) {
	return f.evalIn(map[string]any{"context": f.tab, "sandbox": "test"}, script)
}

func (f *firefox) evalIn(target map[string]any, script string) (string, error) {
	b, err := f.ask("script.evaluate", map[string]any{"expression": script, "target": target, "awaitPromise": true})
	if err != nil {
		return "", err
	}
	var result struct {
		Type             string
		Result           struct{ Value json.RawMessage }
		ExceptionDetails struct{ Text string }
	}
	if err := json.Unmarshal(b, &result); err != nil {
		return "", err
	}
	if result.Type != "success" {
		return "", errors.New(result.ExceptionDetails.Text)
	}
	var s string
	err = json.Unmarshal(result.Result.Value, &s)
	return s, err
}

// resume restarts each download that has failed, as the button Retry does.
func (f *firefox) resume() error {
	window, err := f.context(map[string]any{"maxDepth": 0, "moz:scope": "chrome"})
	if err != nil {
		return err
	}
	_, err = f.evalIn(map[string]any{"context": window}, `(async () => {
		const {Downloads} = ChromeUtils.importESModule("resource://gre/modules/Downloads.sys.mjs");
		for (const d of await (await Downloads.getList(Downloads.ALL)).getAll()) {
			if (d.error) d.start().catch(() => {});
		}
		return "";
	})()`)
	return err
}

func (f *firefox) process() int { return f.cmd.Process.Pid }
