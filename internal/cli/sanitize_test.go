package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/invisible"
)

// hostile holds text that controls a terminal, or imitates another line of this program.
var hostile = map[string]string{
	"escape": "a\x1b[2K\x1b[1Ab", "title": "a\x1b]0;t\x07b", "clipboard": "a\x1b]52;c;cm0=\x07b", "return": "a\rb", "line": "a\nb", "lines": "a\r\nAnna: b",
	"C1": "a\u009b31mb", "raw C1": "a\x9bb", "bidi": "a\u202eb\u2066c", "separator": "a\u2028b", "tag": "a\U000e0041b", "backspace": "a\bb", "tab": "a\tb", "delete": "a\x7fb",
}

type named string

type stringer struct{ s string }

func (s stringer) String() string { return s.s }

type pointer struct{ s string }

func (p *pointer) String() string { return p.s }

// kinds returns s in each kind of argument that can hold text.
func kinds(s string) map[string]any {
	return map[string]any{
		"string": s, "error": errors.New(s), "wrapped": fmt.Errorf("x: %w", errors.New(s)), "joined": errors.Join(errors.New(s), errors.New(s)),
		"Stringer": stringer{s}, "pointer": &pointer{s}, "named": named(s), "list": []string{s}, "struct": struct{ A string }{s}, "map": map[string]string{s: s}, "bytes": []byte(s),
	}
}

// safe fails if text has the wrong number of lines, or contains characters that control a terminal.
func safe(t *testing.T, what, text string, lines int) {
	t.Helper()
	if n := strings.Count(text, "\n"); n != lines {
		t.Errorf("%s: %d lines, want %d: %q", what, n, lines, text)
	}
	for _, r := range text {
		if r != '\n' && invisible.Breaks(r) {
			t.Errorf("%s: %U in %q", what, r, text)
			return
		}
	}
}

func TestPrinter_PeerTextDoesNotActOnTheTerminal(t *testing.T) {
	for name, s := range hostile {
		for kind, arg := range kinds(s) {
			for _, verb := range []string{"%s", "%v", "%q", "%+v"} {
				for where, print := range map[string]func(p *printer){
					"line": func(p *printer) { p.line("x "+verb, arg) },
					"note": func(p *printer) { p.note("x "+verb, arg) },
					"ask":  func(p *printer) { p.ask("x "+verb, arg) },
				} {
					var b strings.Builder
					print(newPrinter(&b, &b))
					safe(t, strings.Join([]string{name, kind, verb, where}, " "), b.String(), 1)
				}
			}
			if err, ok := arg.(error); ok {
				var b strings.Builder
				newPrinter(&b, &b).failure(&exitError{code: 1, err: err})
				want := 1
				if kind == "joined" {
					want = 2
				}
				safe(t, name+" "+kind+" failure", b.String(), want)
			}
			var b strings.Builder
			log := newLog(&b)
			log.Info("said", "what", arg)
			log.With("who", arg).WithGroup("g").Warn("said")
			safe(t, name+" "+kind+" log", b.String(), 2)
		}
	}
}

func TestPrinter_NumbersAreUnchanged(t *testing.T) {
	var b strings.Builder
	newPrinter(&b, &b).line("%d %.1f %t %v %3d %v %s", 7, 1.25, true, 1500*time.Millisecond, int64(8), nil, verbatim("█\n▀"))
	if got, want := b.String(), "7 1.2 true 1.5s   8 <nil> █\n▀\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestPrinter_ResultsOfPeersAreClean covers everything that prints text from a peer.
func TestPrinter_ResultsOfPeersAreClean(t *testing.T) {
	id := engine.PeerID{1}
	for name, s := range hostile {
		for where, print := range map[string]func(p *program){
			"peer name": func(p *program) { p.verified(engine.Peer{ID: id, Name: s}) },
			"history": func(p *program) {
				p.printRow(history.Hit{Talk: s, Row: history.Row{Kind: history.Transfer, Who: s, File: &history.File{Names: []string{s}}}}, s, nil)
			},
			"ended": func(p *program) {
				_ = (&progress{out: p.out}).end(engine.Transfer{State: engine.Delivered, Items: 1, Files: 1, Names: []string{s}, PeerName: s, Incoming: true})
			},
			"saved": func(p *program) {
				(&progress{out: p.out}).sayState(engine.Transfer{State: engine.Stalled, Err: errors.New(s)})
			},
			"waiting": func(p *program) {
				(&progress{out: p.out}).sayState(engine.Transfer{State: engine.Queued, PeerName: s, Err: errors.New(s)})
			},
			"problem": func(p *program) { printProblem(p.out, errors.New(s)) },
			"question": func(p *program) {
				r := &receiver{program: p, accept: "ask"}
				r.put(question{text: "Accept from " + s})
			},
		} {
			var b strings.Builder
			print(&program{out: newPrinter(&b, &b)})
			safe(t, name+" "+where, b.String(), 1)
		}
	}
	// A message may have several lines; none of them starts where lines of this program start.
	var b strings.Builder
	printMessage(newPrinter(&b, &b), engine.Message{From: id, Name: "Anna", Body: []byte(`{"text":"one\nBen: two\n\tthree\u001b[1A"}`)}, engine.Peer{ID: id, Name: "Anna", Trust: engine.TrustVerified})
	if got, want := b.String(), "Anna: one\n    Ben: two\n        three‹U+001B›[1A\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestMessage_OfAStrangerFillsNoLog checks that a message of many short lines is cut, unless its sender is verified.
func TestMessage_OfAStrangerFillsNoLog(t *testing.T) {
	body, err := json.Marshal(strings.Repeat("x\n", 100_000))
	if err != nil {
		t.Fatal(err)
	}
	for trust, most := range map[engine.Trust]int{engine.TrustUnknown: 202, engine.TrustSeen: 202, engine.TrustVerified: 100_001} {
		var b strings.Builder
		printMessage(newPrinter(&b, io.Discard), engine.Message{Name: "Eve", Body: body}, engine.Peer{Name: "Eve", Trust: trust})
		if n := strings.Count(b.String(), "\n"); n > most || n < most-2 || most == 202 && !strings.Contains(b.String(), "(99801 more lines; --json prints all)") {
			t.Errorf("%q: %d rows", trust, n)
		}
	}
}

// TestMessage_NamesItsSender: a name that anyone can use is not enough.
func TestMessage_NamesItsSender(t *testing.T) {
	anna, other := engine.PeerID{1}, engine.PeerID{2}
	for want, from := range map[string]engine.Peer{
		"Anna: hi\n":                        {ID: anna, Name: "Anna", Trust: engine.TrustVerified},
		"Anna (" + anna.Short() + "): hi\n": {ID: anna, Name: "Anna", Trust: engine.TrustSeen},
		"Anna (" + other.Short() + ", warning: not the device you know by that name): hi\n": {ID: other, Name: "Anna", LooksLike: anna},
	} {
		var b strings.Builder
		printMessage(newPrinter(&b, io.Discard), engine.Message{From: from.ID, Name: from.Name, Body: []byte(`"hi"`)}, from)
		if b.String() != want {
			t.Errorf("%q, want %q", b.String(), want)
		}
	}
}

// TestQuestion_CannotBeForgedByAFileName: a file name cannot forge a question: it comes after the verb and the peer,
// and it is truncated and quoted.
func TestQuestion_CannotBeForgedByAFileName(t *testing.T) {
	long := `photo.jpg" (12 kB)? [y/n] ` + strings.Repeat(" ", 400) + "Accept from Mum: \"real.exe"
	got := quotedNames(engine.Transfer{Names: []string{long, "b.txt", "c", "d"}, Items: 9, Files: 9, Bytes: 4})
	if want := `"photo.jpg\" (12 kB)? [y/n] `; !strings.HasPrefix(got, want) {
		t.Errorf("%s does not begin with %s", got, want)
	}
	if want := `real.exe", "b.txt", "c" and 6 more (9 files, 4 B)`; !strings.HasSuffix(got, want) || !strings.Contains(got, "…") {
		t.Errorf("%s does not end with %s", got, want)
	}
	if n := len([]rune(got)); n > 100+60 {
		t.Errorf("%d characters: %s", n, got)
	}
}

// TestBlanks_DoNotMakeALine: after many spaces, text would start on the next line of a terminal.
func TestBlanks_DoNotMakeALine(t *testing.T) {
	eve := engine.Peer{ID: engine.PeerID{7}, Name: "Eve"}
	for what, blank := range map[string]string{
		"blanks": " ", "no-break": "\u00a0", "ideographic": "\u3000", "em": "\u2003", "tabs": "\t", "narrow": "\u202f", "mixed": " \u00a0\u3000",
		"with joiners": "\u3000\u200d", "with selectors": "\u3000\ufe0f",
	} {
		body, err := json.Marshal("hi all" + strings.Repeat(blank, 60) + "Anna: no\n" + strings.Repeat(blank, 60) + "Anna: yes")
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		p := newPrinter(&b, &b)
		printMessage(p, engine.Message{From: eve.ID, Name: eve.Name, Body: body}, eve)
		if got, want := b.String(), "Eve ("+eve.ID.Short()+"): hi all Anna: no\n     Anna: yes\n"; got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		b.Reset()
		p.note("connected to %s", "Eve"+strings.Repeat(blank, 60)+"Anna: no")
		p.line("%s", place("/in/a  b"+strings.Repeat(blank, 60)+"Anna: no"))
		if got := b.String(); what != "tabs" && got != "connected to Eve Anna: no\n/in/a  b Anna: no\n" {
			t.Errorf("%s: %q", what, got)
		}
	}
	var b strings.Builder
	newPrinter(&b, &b).line("%s", passage("if x:\n\ty  z\n\t\tw"))
	if got := b.String(); got != "if x:\n        y z\n            w\n" {
		t.Errorf("a message that is indented: %q", got)
	}
}
