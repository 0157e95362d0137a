package cli

import (
	"fmt"
	"strings"
	"time"

	"multipeer/engine"

	"github.com/schollz/progressbar/v3"
)

// progress shows one transfer: a bar on a terminal, a line every two seconds elsewhere, objects in JSON mode.
type progress struct {
	out  *printer
	one  bool // this is the only progress shown
	bar  *progressbar.ProgressBar
	last time.Time
	said string
	note func(format string, a ...any) // prints text that is not a result; nil means out.note
}

func (p *progress) say(format string, a ...any) {
	if p.note != nil {
		p.note(format, a...)
		return
	}
	p.out.note(format, a...)
}

const progressEvery = 2 * time.Second

func (p *progress) show(t engine.Transfer) {
	if t.State == engine.Offered {
		return
	}
	p.out.object(transferJSON(t))
	p.sayState(t)
	switch {
	case p.out.json, t.State != engine.Moving && t.State != engine.Finishing:
	case p.out.tty && p.one:
		if p.bar == nil {
			p.bar = progressbar.NewOptions64(max(t.Bytes, 1),
				progressbar.OptionSetWriter(p.out.err), progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(30),
				progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		p.bar.ChangeMax64(max(t.Bytes, 1))
		if t.State == engine.Finishing {
			p.bar.Describe("saving to disk")
		}
		_ = p.bar.Set64(min(t.Done, max(t.Bytes-1, 0))) // 100 % is shown only after the receipt
	case time.Since(p.last) >= progressEvery:
		if !p.last.IsZero() {
			p.say("%s", movingLine(t))
		}
		p.last = time.Now()
	}
}

// sayState prints, once, why a transfer is not making progress.
func (p *progress) sayState(t engine.Transfer) {
	say := ""
	switch {
	case t.State == engine.Paused:
		say = "paused"
	case t.State == engine.Stalled && t.Err != nil:
		say = fmt.Sprintf("stalled: %v; the transfer resumes automatically", t.Err)
	case t.State == engine.Stalled:
		say = "stalled: no progress; the transfer resumes automatically"
	case t.State == engine.Queued && t.Err != nil:
		say = fmt.Sprintf("waiting for %s: %v", quoted(t.PeerName), t.Err)
	case t.State == engine.Moving && p.said != "":
		say = "continuing"
	}
	if say == "" || say == p.said || say == "continuing" && p.said == "" {
		return
	}
	p.said = say
	if say == "continuing" {
		p.said = ""
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.say("%s", say)
}

func movingLine(t engine.Transfer) string {
	s := fmt.Sprintf("%s of %s, %d of %d files, %s%s", size(t.Done), size(t.Bytes), t.DoneFiles, t.Files, rate(t.Rate), over(t.Lanes))
	if t.State == engine.Finishing {
		return s + ", saving to disk"
	}
	if t.Left > 0 {
		s += fmt.Sprintf(", %v left", t.Left.Round(time.Second))
	}
	return s
}

// over describes the lanes of a transfer.
func over(lanes []engine.Lane) string {
	count := map[string]int{}
	for _, l := range lanes {
		count[l.Proto]++
	}
	var words []string
	for _, proto := range []string{"TCP", "QUIC"} {
		switch n := count[proto]; {
		case n == 1:
			words = append(words, proto)
		case n > 1:
			words = append(words, fmt.Sprintf("%d %s connections", n, proto))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " over " + strings.Join(words, " and ")
}

// tooShort is the time, in seconds, below which the speed of a transfer means nothing.
const tooShort = 0.1

// end prints the outcome, and returns the error that gives the exit code.
func (p *progress) end(t engine.Transfer) error {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	p.out.object(transferJSON(t))
	other := "to"
	if t.Incoming {
		other = "from"
	}
	p.notes(t)
	if t.State != engine.Delivered {
		return failed(fmt.Errorf("%s %s %s: %w", what(t), other, quoted(t.PeerName), t.Err))
	}
	seconds := t.Ended.Sub(t.Started).Seconds()
	delivered := "delivered"
	if t.LeftOut > 0 {
		delivered = fmt.Sprintf("delivered, %d left out:", t.LeftOut)
	}
	if seconds < tooShort {
		p.out.line("%s %s %s %s", delivered, what(t), other, quoted(t.PeerName))
	} else {
		p.out.line("%s %s %s %s in %.1f s, %s", delivered, what(t), other, quoted(t.PeerName), seconds, rate(float64(t.Bytes)/seconds))
	}
	for _, s := range t.Saved {
		p.out.line("%s", place(s))
	}
	if t.LeftOut > 0 {
		return exit(exitPartly, fmt.Errorf("%s %s %s: %s left out", what(t), other, quoted(t.PeerName), plural(t.LeftOut, "entry was", "entries were")))
	}
	return nil
}

// notes prints the entries that did not arrive unchanged: each one that was left out or renamed, and, for each property
// that was not kept, the first entry and the number of others.
func (p *progress) notes(t engine.Transfer) {
	unkept := map[string][]string{}
	var reasons []string
	for _, n := range t.Notes {
		switch {
		case n.LeftOut() && n.Remote:
			p.say("left out: %s: on %s's device: %v", n.Path, quoted(t.PeerName), n.Err)
		case n.LeftOut():
			p.say("left out: %s: %v", n.Path, n.Err)
		case n.Err != nil:
			why := n.Err.Error()
			if unkept[why] == nil {
				reasons = append(reasons, why)
			}
			unkept[why] = append(unkept[why], n.Path)
		default:
			p.say("renamed: %s was saved as %s", n.Path, n.Saved)
		}
	}
	for _, why := range reasons {
		list := unkept[why]
		more := ""
		if len(list) > 1 {
			more = fmt.Sprintf(" and %d more", len(list)-1)
		}
		p.say("note: %s%s: %s", list[0], more, why)
	}
	if more := t.Renamed + t.LeftOut + t.Unkept - int64(len(t.Notes)); more > 0 {
		p.say("and %d more not listed", more)
	}
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
