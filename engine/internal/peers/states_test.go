package peers

import (
	"fmt"
	"strings"
	"testing"
)

// TestLife_EachEventInEachState compares the complete table with a picture of it, which has a row for each event, a
// column for each state, and a dot where nothing changes.
func TestLife_EachEventInEachState(t *testing.T) {
	const want = `
          found        connecting   connected    reconnecting
invited   connecting   .            .            .
answered  .            found        .            .
began     connected    connected    .            .
broke     .            .            reconnecting reconnecting
returned  .            .            connected    connected
ended     .            .            found        found
`
	names := []string{"invited", "answered", "began", "broke", "returned", "ended"}
	var b strings.Builder
	row := func(name string, cells ...string) {
		line := fmt.Sprintf("%-10s", name)
		for _, c := range cells {
			line += fmt.Sprintf("%-13s", c)
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	states := []State{Found, Connecting, Connected, Reconnecting}
	b.WriteString("\n")
	row("", Found.String(), Connecting.String(), Connected.String(), Reconnecting.String())
	for ev, name := range names {
		var cells []string
		for _, s := range states {
			p := &peer{state: s}
			p.happened(event(ev))
			cell := p.state.String()
			if _, listed := transitions[event(ev)][s]; !listed {
				cell = "."
				if p.state != s {
					t.Errorf("%s changes %v, which is not listed", name, s)
				}
			}
			cells = append(cells, cell)
		}
		row(name, cells...)
	}
	if b.String() != want {
		t.Errorf("the table is%s", b.String())
	}
}
