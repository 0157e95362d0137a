package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/invisible"
	"multipeer/transfer"

	"golang.org/x/term"
)

// printer writes results to standard output and everything else to standard error. With json, standard output holds
// one object per line and nothing else. Output that is printed while the user types or a progress bar is shown keeps
// that line intact.
type printer struct {
	mu     sync.Mutex
	out    *checked
	err    io.Writer
	json   bool
	tty    bool   // standard error is a terminal
	prompt string // the last line, if it is a prompt
	// columns returns the widths of the terminals that the two streams are shown on; 0 if it is not a terminal.
	columns func() (out, err int)
}

func newPrinter(out, err io.Writer) *printer {
	p := &printer{out: &checked{w: out}, err: err, columns: func() (int, int) { return columnsOf(out), columnsOf(err) }}
	if f, ok := err.(*os.File); ok {
		p.tty = term.IsTerminal(int(f.Fd()))
	}
	return p
}

// checked remembers the first error of a writer. Its methods may be called concurrently.
type checked struct {
	mu     sync.Mutex
	w      io.Writer
	err    error
	failed func(error) // called once, with the first error; may be nil
}

func (c *checked) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || len(b) == 0 {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	if err != nil {
		c.err = fmt.Errorf("writing to standard output: %w", err)
		if c.failed != nil {
			c.failed(c.err)
		}
	}
	return n, err
}

// problem returns the first error; nil if there was none.
func (c *checked) problem() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// onFailure sets the function to call on the first error.
func (c *checked) onFailure(f func(error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = f
}

// object prints v as one line of JSON, in JSON mode only. Characters that control a terminal are escaped: in JSON
// they can occur only in strings, where \u is allowed.
func (p *printer) object(v any) {
	if !p.json {
		return
	}
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // only our own types are passed
	}
	var s strings.Builder
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case !invisible.Breaks(r):
			s.Write(b[:n])
		case r > 0xFFFF:
			hi, lo := (r-0x10000)>>10+0xD800, (r-0x10000)&0x3FF+0xDC00
			fmt.Fprintf(&s, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&s, `\u%04x`, r)
		}
		b = b[n:]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Fprintln(p.out, s.String())
}

// line prints a result as text; not in JSON mode. Arguments are cleaned (see clean).
func (p *printer) line(format string, a ...any) {
	if p.json {
		return
	}
	columns, _ := p.columns()
	p.write(p.out, columns, format, a)
}

// note prints text other than results to standard error; not in JSON mode. Arguments are cleaned (see clean).
func (p *printer) note(format string, a ...any) {
	if p.json {
		return
	}
	_, columns := p.columns()
	p.write(p.err, columns, format, a)
}

func (p *printer) write(w io.Writer, columns int, format string, a []any) {
	s := fmt.Sprintf(format, clean(a)...)
	if !isVerbatim(a) {
		s = wrap(s, columns)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prompt != "" && p.tty {
		fmt.Fprint(p.err, "\r\x1b[K")
	}
	fmt.Fprintln(w, s)
	if p.prompt != "" && p.tty {
		fmt.Fprint(p.err, p.prompt)
	}
}

// ask shows a prompt at the start of the last line until the next call; an empty format removes it. Arguments are
// cleaned (see clean). Of a prompt that is wider than the terminal, only the end is removed.
func (p *printer) ask(format string, a ...any) {
	prompt := fmt.Sprintf(format, clean(a)...)
	_, columns := p.columns()
	wide := wrap(prompt, columns)
	if at := strings.LastIndexByte(wide, '\n'); at >= 0 {
		p.note("%s", verbatim(wide[:at]))
		prompt = wide[at+1:]
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if prompt == "" && p.prompt != "" && p.tty && !p.json {
		fmt.Fprint(p.err, "\r\x1b[K") // the question is over
	}
	p.prompt = prompt
	if !p.json && prompt != "" {
		if p.tty {
			fmt.Fprint(p.err, "\r\x1b[K"+prompt)
		} else {
			fmt.Fprintln(p.err, prompt)
		}
	}
}

// askYes shows a question for a yes or no. If it takes more than one row of the terminal, what is asked about is shown
// above a prompt that names only who asks, so that no text of a peer can look like the prompt. who is empty if no one
// in particular asks.
func (p *printer) askYes(question, who string) {
	const yesOrNo = " [y/n] "
	_, columns := p.columns()
	text := oneLine(question)
	if who != "" && strings.Contains(wrap(text+yesOrNo, columns), "\n") { // guard: prompts-name-the-asker
		p.note("%s", question)
		text = who + "?"
	}
	p.ask("%s"+yesOrNo, text)
}

// failure prints the error that ends the program. Joined errors get a line each.
func (p *printer) failure(e *exitError) {
	p.object(struct {
		Type  string `json:"type"`
		Error string `json:"error"`
		Exit  int    `json:"exit"`
	}{"error", e.err.Error(), e.code})
	_, columns := p.columns()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.prompt != "" && p.tty {
		fmt.Fprintln(p.err)
	}
	for _, err := range parts(e) {
		fmt.Fprintln(p.err, wrap("multipeer-cli: "+oneLine(err.Error()), columns))
	}
	if e.hint != "" {
		fmt.Fprintln(p.err, e.hint)
	}
}

// parts returns the errors that errors.Join has combined; any other error is its own only part.
func parts(err error) (out []error) {
	if e, ok := err.(*exitError); ok {
		err = e.err
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok || err.Error() != errors.Join(joined.Unwrap()...).Error() {
		return []error{err}
	}
	for _, e := range joined.Unwrap() {
		out = append(out, parts(e)...)
	}
	return out
}

// size formats a number of bytes in decimal units, as is usual for disks and networks.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	if i == 0 || f >= 99.95 {
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

// parseSize parses the output of size, and plain bytes.
func parseSize(s string) (int64, error) {
	text := strings.ToLower(strings.ReplaceAll(s, " ", ""))
	factor := 1.0
	for i, unit := range []string{"kb", "mb", "gb", "tb"} {
		if rest, ok := strings.CutSuffix(text, unit); ok {
			text, factor = rest, math.Pow(1000, float64(i+1))
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSuffix(text, "b"), 64)
	if err != nil || n*factor < 1 || n*factor > 1e18 {
		return 0, fmt.Errorf("size %q: write a number above 0 with B, kB, MB, GB or TB, such as 500MB", s)
	}
	return int64(n * factor), nil
}

func rate(bytesPerSecond float64) string { return size(int64(bytesPerSecond)) + "/s" }

// what describes the content of a transfer briefly.
func what(t engine.Transfer) string {
	return described(strings.Join(chatlog.Names(t.Names), ", "), t)
}

// described appends the amount of data to the names of a transfer.
func described(name string, t engine.Transfer) string {
	if t.Items > 3 {
		name += fmt.Sprintf(" and %d more", t.Items-3)
	}
	if t.Counting && t.Files == 0 {
		return name // its size is unknown yet
	}
	total := size(t.Bytes)
	if t.Files != 1 || t.Folders > 0 {
		total = fmt.Sprintf("%s, %s", plural(t.Files, "file", "files"), total)
	}
	if t.Counting {
		total += " so far"
	}
	return fmt.Sprintf("%s (%s)", name, total)
}

// quotedNames is like what, but for a question: all names are quoted and long ones truncated, so that none can look
// like the end of the question.
func quotedNames(t engine.Transfer) string {
	name := make([]string, 0, 3)
	for _, n := range chatlog.Names(t.Names) {
		name = append(name, strconv.Quote(n))
	}
	return described(strings.Join(name, ", "), t)
}

// peerObject is a peer in JSON.
type peerObject struct {
	Type    string   `json:"type"`
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	State   string   `json:"state"`
	Trust   string   `json:"trust"`
	Addrs   []string `json:"addresses"`
	How     string   `json:"how"`
	Problem string   `json:"problem,omitempty"`
	RTT     float64  `json:"rtt_ms,omitempty"`
	Like    string   `json:"looks_like,omitempty"` // the ID of a more trusted peer with this name
	Via     string   `json:"via,omitempty"`        // the protocol of a device that does not run Multipeer
	Plain   bool     `json:"plain,omitempty"`      // not encrypted
}

func peerJSON(kind string, p engine.Peer) peerObject {
	o := peerObject{Type: kind, ID: p.ID.String(), Name: p.Name, State: p.State.String(), Trust: string(p.Trust), How: p.How, Addrs: []string{}}
	if o.Trust == "" {
		o.Trust = "unknown"
	}
	for _, a := range p.Addrs {
		o.Addrs = append(o.Addrs, a.String())
	}
	if !p.LooksLike.IsZero() {
		o.Like = p.LooksLike.String()
	}
	if p.Err != nil {
		o.Problem = p.Err.Error()
	}
	o.RTT = float64(p.RTT.Microseconds()) / 1000
	o.Via, o.Plain = p.Via, p.Plain
	return o
}

// goneJSON returns a peer whose session has ended, with the reason.
func goneJSON(ev engine.PeerRemoved) peerObject {
	o := peerJSON("disconnected", ev.Peer)
	if ev.Err != nil { // the reason for the end, not for failed dials since then
		o.Problem = ev.Err.Error()
	}
	return o
}

// transferObject is a transfer in JSON.
type transferObject struct {
	Type     string       `json:"type"`
	ID       string       `json:"id"`
	Peer     string       `json:"peer"`
	Name     string       `json:"name"`
	Incoming bool         `json:"incoming"`
	State    string       `json:"state"`
	ByPeer   bool         `json:"by_peer,omitempty"`
	Names    []string     `json:"names"`
	Note     string       `json:"note,omitempty"`
	Via      string       `json:"via,omitempty"`
	Files    int64        `json:"files"`
	Folders  int64        `json:"folders"`
	Bytes    int64        `json:"bytes"`
	Done     int64        `json:"done"`
	Rate     float64      `json:"bytes_per_second"`
	Seconds  float64      `json:"seconds,omitempty"`
	Saved    []string     `json:"saved,omitempty"`
	Renamed  int64        `json:"renamed,omitempty"`
	LeftOut  int64        `json:"left_out,omitempty"`
	Unkept   int64        `json:"incomplete_attributes,omitempty"`
	Notes    []noteObject `json:"notes,omitempty"`
	Same     int64        `json:"unchanged,omitempty"`
	Lanes    []string     `json:"lanes,omitempty"`
	Attempts int64        `json:"attempts,omitempty"`
	Moved    int64        `json:"moved,omitempty"`
	Error    string       `json:"error,omitempty"`
}

// noteObject is an entry that did not arrive unchanged: without saved, it was left out; without problem, it was
// renamed, and otherwise it was saved without some attribute.
type noteObject struct {
	Path    string `json:"path"`
	Saved   string `json:"saved,omitempty"`
	Problem string `json:"problem,omitempty"`
	Remote  bool   `json:"remote,omitempty"` // the other device reported it
}

func noteObjects(notes []transfer.Note) (out []noteObject) {
	for _, n := range notes {
		o := noteObject{Path: n.Path, Saved: n.Saved, Remote: n.Remote}
		if n.Err != nil {
			o.Problem = n.Err.Error()
		}
		out = append(out, o)
	}
	return out
}

func transferJSON(t engine.Transfer) transferObject {
	o := transferObject{
		Type: "transfer", ID: string(t.ID), Peer: t.Peer.String(), Name: t.PeerName, Incoming: t.Incoming, State: t.State.String(), ByPeer: t.ByPeer,
		Names: t.Names, Note: t.Note, Via: t.Via, Files: t.Files, Folders: t.Folders, Bytes: t.Bytes, Done: t.Done, Rate: t.Rate, Saved: t.Saved,
		Renamed: t.Renamed, LeftOut: t.LeftOut, Unkept: t.Unkept, Same: t.Unchanged, Attempts: t.Attempts, Moved: t.Moved,
	}
	o.Notes = noteObjects(t.Notes)
	for _, l := range t.Lanes {
		o.Lanes = append(o.Lanes, l.Proto)
	}
	if t.State.Final() && !t.Started.IsZero() {
		o.Seconds = t.Ended.Sub(t.Started).Round(time.Millisecond).Seconds()
	}
	if t.Err != nil {
		o.Error = t.Err.Error()
	}
	return o
}
