package transfer

import (
	"maps"
	"slices"
	"strings"
	"testing"
)

// sameAccount compares what arrived, and what both sides report, with what was offered: each entry has either arrived
// or is named as left out by both; if nothing is left out or unkept, everything is as it was. want and got are
// results of tree or visible.
func sameAccount(t *testing.T, what string, want, got map[string]string, sent, received Result) {
	t.Helper()
	left := func(r Result) []string {
		var out []string
		for _, n := range r.Notes {
			if n.LeftOut() {
				if n.Err == nil {
					t.Errorf("%s: %q is left out without a reason", what, n.Path)
				}
				out = append(out, n.Path)
			}
		}
		slices.Sort(out)
		if int64(len(out)) != r.LeftOut {
			t.Errorf("%s: %d are left out, %d named", what, r.LeftOut, len(out))
		}
		return out
	}
	theirs, ours := left(sent), left(received)
	if !slices.Equal(theirs, ours) {
		t.Errorf("%s: left out at the sender %q, at the receiver %q", what, theirs, ours)
	}
	if sent.Totals != received.Totals {
		t.Errorf("%s: the sender reports %+v, the receiver %+v", what, sent.Totals, received.Totals)
	}
	content := func(s string) string { // without the time
		if _, after, ok := strings.Cut(s, " "); ok && !strings.HasPrefix(s, "-> ") {
			return after
		}
		return s
	}
	for p, v := range want {
		there, ok := got[p]
		named := slices.Contains(ours, p)
		if ok == named {
			t.Errorf("%s: %s is there: %v, named as left out: %v", what, p, ok, named)
		}
		if ok && content(there) != content(v) {
			t.Errorf("%s: %s has different content", what, p)
		}
	}
	for p := range got {
		if _, ok := want[p]; !ok {
			t.Errorf("%s: %s was not offered", what, p)
		}
	}
	if len(ours) == 0 && received.Unkept == 0 && !maps.Equal(want, got) {
		t.Errorf("%s: something was not kept, and nobody reports it", what)
	}
}
