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
	one  bool // it is the only one that is shown
	bar  *progressbar.ProgressBar
	last time.Time
	said string
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
			p.bar.Describe("making durable")
		}
		_ = p.bar.Set64(min(t.Done, max(t.Bytes-1, 0))) // 100 % is said by the receipt alone
	case time.Since(p.last) >= progressEvery:
		if !p.last.IsZero() {
			p.out.note("%s", movingLine(t))
		}
		p.last = time.Now()
	}
}

// sayState tells, once, what keeps a transfer from moving.
func (p *progress) sayState(t engine.Transfer) {
	say := ""
	switch {
	case t.State == engine.Paused:
		say = "paused"
	case t.State == engine.Stalled && t.Err != nil:
		say = fmt.Sprintf("stalled: %v; it goes on by itself", t.Err)
	case t.State == engine.Stalled:
		say = "stalled: nothing is acknowledged; it goes on by itself"
	case t.State == engine.Queued && t.Err != nil:
		say = fmt.Sprintf("waiting for %s: %v", t.PeerName, t.Err)
	case t.State == engine.Moving && p.said != "":
		say = "going on"
	}
	if say == "" || say == p.said || say == "going on" && p.said == "" {
		return
	}
	if p.said = say; say == "going on" {
		p.said = ""
	}
	if p.bar != nil {
		_ = p.bar.Clear()
	}
	p.out.note("%s", say)
}

func movingLine(t engine.Transfer) string {
	s := fmt.Sprintf("%s of %s, %d of %d files, %s%s", size(t.Done), size(t.Bytes), t.DoneFiles, t.Files, rate(t.Rate), over(t.Lanes))
	if t.State == engine.Finishing {
		return s + ", making durable"
	}
	if t.Left > 0 {
		s += fmt.Sprintf(", %v left", t.Left.Round(time.Second))
	}
	return s
}

// over says what carries a transfer.
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
			words = append(words, fmt.Sprintf("%d %s conns", n, proto))
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " over " + strings.Join(words, " and ")
}

// end prints the outcome and returns the error for the exit code.
func (p *progress) end(t engine.Transfer) error {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
	p.out.object(transferJSON(t))
	other := "to"
	if t.Incoming {
		other = "from"
	}
	for _, n := range t.Notes {
		if n.Err != nil {
			p.out.note("left out: %s: %v", n.Path, n.Err)
		} else {
			p.out.note("renamed: %s is saved as %s", n.Path, n.Saved)
		}
	}
	if more := t.Renamed + t.LeftOut - int64(len(t.Notes)); more > 0 {
		p.out.note("and %d more renamed or left out", more)
	}
	if t.State != engine.Delivered {
		return failed(fmt.Errorf("%s %s %s: %w", what(t), other, t.PeerName, t.Err))
	}
	seconds := max(t.Ended.Sub(t.Started).Seconds(), 0.001)
	p.out.line("delivered %s %s %s in %.1f s, %s", what(t), other, t.PeerName, seconds, rate(float64(t.Bytes)/seconds))
	for _, s := range t.Saved {
		p.out.line("%s", s)
	}
	if t.LeftOut > 0 {
		p.out.note("%d entries were left out", t.LeftOut)
	}
	return nil
}
