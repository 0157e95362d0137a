package transfers

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestLife_EachEventInEachState compares the table with the picture below: a row for each event, a column for each
// state, and a point where nothing changes.
func TestLife_EachEventInEachState(t *testing.T) {
	const want = `
              queued    offered   moving    stalled   paused    finishing delivered declined  cancelled failed
proposed      offered   offered   .         offered   .         .         .         .         .         .
accepted      .         queued    .         .         .         .         .         .         .         .
askedAgain    offered   .         offered   offered   offered   offered   .         .         .         .
waits         queued    queued    queued    queued    .         queued    .         .         .         .
moves         moving    .         moving    moving    .         moving    .         .         .         .
stalls        stalled   .         stalled   stalled   .         stalled   .         .         .         .
pauses        paused    paused    paused    paused    paused    paused    .         .         .         .
resumes       .         .         .         .         queued    .         .         .         .         .
allArrived    finishing .         finishing finishing .         finishing .         .         .         .
revived       .         .         .         .         .         .         .         queued    queued    queued
delivered     delivered delivered delivered delivered delivered delivered .         .         .         .
declined      declined  declined  declined  declined  declined  declined  .         .         .         .
cancelled     cancelled cancelled cancelled cancelled cancelled cancelled .         .         .         .
failed        failed    failed    failed    failed    failed    failed    .         .         .         .
`
	names := []string{"proposed", "accepted", "askedAgain", "waits", "moves", "stalls", "pauses", "resumes", "allArrived", "revived", "delivered", "declined", "cancelled", "failed"}
	var b strings.Builder
	row := func(cells ...string) {
		line := fmt.Sprintf("%-14s", cells[0])
		for _, c := range cells[1:] {
			line += fmt.Sprintf("%-10s", c)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	head := []string{""}
	for s := Queued; s <= Failed; s++ {
		head = append(head, s.String())
	}
	b.WriteString("\n")
	row(head...)
	for ev := proposed; ev <= failed; ev++ {
		cells := []string{names[ev]}
		for s := Queued; s <= Failed; s++ {
			why := errors.New("a new reason")
			i := &item{view: Transfer{State: s}}
			changed := i.stepLocked(ev, why)
			switch _, listed := transitions[ev][s]; {
			case changed != listed:
				t.Errorf("%v in state %v: changed %v", names[ev], s, changed)
			case changed && !errors.Is(i.view.Err, why):
				t.Errorf("%v in state %v: the reason is lost", names[ev], s)
			case !changed && i.view.State != s:
				t.Errorf("%v in state %v: not reported", names[ev], s)
			}
			if changed {
				cells = append(cells, i.view.State.String())
			} else {
				cells = append(cells, ".")
			}
		}
		row(cells...)
	}
	if got := b.String(); got != want {
		t.Errorf("the table is%s", got)
	}
}

func TestLife_SameReasonTwiceIsNoChange(t *testing.T) {
	i := &item{view: Transfer{State: Moving}}
	why := errors.New("why")
	if !i.stepLocked(stalls, why) || i.stepLocked(stalls, why) || !i.stepLocked(stalls, nil) {
		t.Error("a change is a new state or a new reason")
	}
}
