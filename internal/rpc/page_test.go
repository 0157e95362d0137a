package rpc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/transfer"
)

const page = "../../docs/json-rpc.md"

// client is a program in another language.
type client struct {
	t     *testing.T
	in    io.WriteCloser
	lines chan map[string]any
	kept  []map[string]any // lines that no expectation has matched
	done  chan error
}

// newClient starts a session with an engine on the loopback interface.
func newClient(t *testing.T) *client {
	t.Helper()
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	c := &client{t: t, in: inW, lines: make(chan map[string]any, 10000), done: make(chan error, 1)}
	go func() {
		err := Serve(t.Context(), inR, outW, func(cfg engine.Config) (*engine.Engine, bool, error) {
			e, err := engine.New(cfg)
			return e, false, err
		})
		_ = outW.Close()
		c.done <- err
	}()
	go func() {
		defer close(c.lines)
		s := bufio.NewScanner(outR)
		s.Buffer(nil, 4<<20)
		for s.Scan() {
			var m map[string]any
			if err := json.Unmarshal(s.Bytes(), &m); err != nil || m["jsonrpc"] != "2.0" {
				t.Errorf("%v: %s", err, s.Text())
			}
			delete(m, "jsonrpc")
			c.lines <- m
		}
	}()
	t.Cleanup(func() { _ = inW.Close() })
	return c
}

func (c *client) write(m map[string]any) {
	c.t.Helper()
	m["jsonrpc"] = "2.0"
	b, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := c.in.Write(append(b, '\n')); err != nil {
		c.t.Fatal(err)
	}
}

// expect waits for a line that contains at least what the pattern contains.
func (c *client) expect(pattern map[string]any, names map[string]any) {
	c.t.Helper()
	for i, m := range c.kept {
		if matches(m, pattern, names) {
			c.kept = slices.Delete(c.kept, i, i+1)
			return
		}
	}
	limit := time.After(20 * time.Second)
	for {
		select {
		case m, ok := <-c.lines:
			if !ok {
				c.t.Fatalf("the session ended before %v; it wrote %v", pattern, c.kept)
			}
			if matches(m, pattern, names) {
				return
			}
			c.kept = append(c.kept, m)
		case <-limit:
			c.t.Fatalf("no line %v; it wrote %v", pattern, c.kept)
		}
	}
}

var placeholder = regexp.MustCompile(`^[A-Z][A-Z0-9]+$`)

// matches reports whether got contains what pattern contains. A name in capitals is bound to the first value that it
// matches.
func matches(got, pattern any, names map[string]any) bool {
	bound := map[string]any{}
	if !matchesWith(got, pattern, names, bound) {
		return false
	}
	for name, v := range bound {
		names[name] = v
	}
	return true
}

func matchesWith(got, pattern any, names, bound map[string]any) bool {
	switch p := pattern.(type) {
	case string:
		if p == "*" {
			return true
		}
		if !placeholder.MatchString(p) {
			break
		}
		v, known := names[p]
		if !known {
			if v, known = bound[p]; !known {
				bound[p] = got
				return true
			}
		}
		return reflect.DeepEqual(v, got)
	case map[string]any:
		g, ok := got.(map[string]any)
		for key, v := range p {
			if !ok || !matchesWith(g[key], v, names, bound) {
				return false
			}
		}
		return ok
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(p) {
			return false
		}
		for i := range p {
			if !matchesWith(g[i], p[i], names, bound) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(got, pattern)
}

// filled puts the values of the names into what a program writes.
func filled(v any, names map[string]any) any {
	switch v := v.(type) {
	case string:
		if value, known := names[v]; known {
			return value
		}
	case map[string]any:
		out := map[string]any{}
		for key, e := range v {
			out[key] = filled(e, names)
		}
		return out
	case []any:
		out := []any{}
		for _, e := range v {
			out = append(out, filled(e, names))
		}
		return out
	}
	return v
}

func loopback(t *testing.T) string {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Flags&net.FlagLoopback != 0 {
			return i.Name
		}
	}
	t.Fatal("no loopback interface")
	return ""
}

// TestPage_EveryExampleIsTrue runs the examples of the page in order, with two programs.
func TestPage_EveryExampleIsTrue(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(file, []byte("notes"), 0o600); err != nil {
		t.Fatal(err)
	}
	names := map[string]any{"SERVICE": fmt.Sprintf("r%d", os.Getpid()), "FILE": file, "INBOX": t.TempDir(), "lo": loopback(t)}
	clients := map[string]*client{"anna": newClient(t), "ben": newClient(t)}
	used := map[string]bool{}
	for _, block := range regexp.MustCompile("(?s)```jsonrpc\n(.*?)```").FindAllStringSubmatch(string(text), -1) {
		for _, line := range strings.Split(strings.TrimSpace(block[1]), "\n") {
			who, rest, _ := strings.Cut(line, " ")
			c := clients[strings.TrimRight(who, "<>")]
			var m map[string]any
			if err := json.Unmarshal([]byte(rest), &m); err != nil || c == nil {
				t.Fatalf("%s: %v", line, err)
			}
			if strings.HasSuffix(who, ">") {
				used[m["method"].(string)] = true
				c.write(filled(m, names).(map[string]any))
				continue
			}
			t.Log(line)
			c.expect(m, names)
		}
	}
	for _, name := range Methods() {
		if !used[name] {
			t.Errorf("no example calls %s", name)
		}
	}
	for name, c := range clients {
		select {
		case err := <-c.done:
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Errorf("%s has not ended", name)
		}
	}
}

// TestPage_ListsEveryKind: programs decide by the kind of an error, so the page lists all of them with their codes.
func TestPage_ListsEveryKind(t *testing.T) {
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	rows := regexp.MustCompile("(?m)^\\| `(\\w+)` \\| (-?\\d+) \\|").FindAllStringSubmatch(string(b), -1)
	var listed []string
	for _, r := range rows {
		listed = append(listed, r[1]+" "+r[2])
	}
	var kinds []string
	for _, k := range Kinds {
		kinds = append(kinds, fmt.Sprintf("%s %d", k.Name, k.Code))
	}
	if !slices.Equal(listed, kinds) {
		t.Errorf("the page lists %q, want %q", listed, kinds)
	}
}

// TestKinds_CoverTransferErrors: a program can distinguish all failures of transfers.
func TestKinds_CoverTransferErrors(t *testing.T) {
	other := []error{
		transfer.ErrTimes, transfer.ErrExec, transfer.ErrGrew, transfer.ErrNotDurable, // no failures
		transfer.ErrCancelled, // the engine reports its own
	}
	for n := 1; !errors.Is(transfer.ReasonError(n), transfer.ErrFailed); n++ {
		err := transfer.ReasonError(n)
		if slices.Contains(other, err) {
			continue
		}
		if !slices.ContainsFunc(Kinds, func(k Kind) bool { return k.err != nil && errors.Is(err, k.err) }) {
			t.Errorf("no kind for %v", err)
		}
	}
}
