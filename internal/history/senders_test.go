package history

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestFlood_KeepsRowsOfOthers: a sender that floods a talk with several peers displaces only its own rows, with one key
// or many, with many rows or long ones, in memory or on disk.
func TestFlood_KeepsRowsOfOthers(t *testing.T) {
	for what, c := range map[string]struct {
		keys, rows, length int
		memory             bool
	}{
		"one key": {1, 30_000, 1, false}, "twenty keys": {20, 30_000, 1, false}, "long rows": {1, 1_600, 10_000, false}, "in memory": {20, 30_000, 1, true},
	} {
		t.Run(what, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "h")
			s := Memory()
			if !c.memory {
				s = open(t, path)
			}
			s.limits.rows, s.limits.rowBytes = 2_000, 12<<20
			n := 0
			said := func(who string) Row {
				n++
				return Row{At: at(n), Kind: Text, From: who, Who: "x", Own: who == "", Text: fmt.Sprint(n)}
			}
			var honest []string
			before := uint64(0)
			for i := range c.rows {
				if i%(c.rows/200) == 0 && i < c.rows/2 { // a hundred rows, among those of the flood
					r := said([]string{"anna", "ben", ""}[len(honest)%3])
					honest = append(honest, r.Text)
					before = s.Append("everyone", r)
				}
				r := said(fmt.Sprint("mallory", i%c.keys))
				r.Text = strings.Repeat("x", c.length)
				s.Append("everyone", r)
				if i%(c.rows/5) == 0 && !c.memory { // so that some rows are on disk when they are removed or moved
					if err := s.commit(); err != nil {
						t.Fatal(err)
					}
				}
			}
			s.Set("everyone", before, Row{At: at(-1), Kind: Text, Own: true, Text: "under a number that another row has, or none"})
			check := func(s *Store) {
				t.Helper()
				first, next := s.Bounds("everyone")
				rows := s.Rows("everyone", first, int(next-first))
				var left []string
				size, last := int64(0), at(-1)
				for _, r := range rows {
					size += weight(r)
					if r.From == "" || !strings.HasPrefix(r.From, "mallory") {
						left = append(left, r.Text)
					}
					if r.At.Before(last) {
						t.Fatalf("a row of %v comes after one of %v", r.At, last)
					}
					last = r.At
				}
				if got, want := strings.Join(left, " "), strings.Join(honest, " "); got != want {
					t.Errorf("of what others said %d of %d rows are left: %s", len(left), len(honest), got)
				}
				if most := max(s.limits.rows, maxMemory); len(rows) > most || size > s.limits.rowBytes || size != s.Talks()["everyone"].Bytes {
					t.Errorf("%d rows, %d bytes, and %d are counted", len(rows), size, s.Talks()["everyone"].Bytes)
				}
				if rows[len(rows)-1].At != at(n) {
					t.Error("the newest row is gone")
				}
			}
			check(s)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if !c.memory {
				again := open(t, path)
				again.limits = s.limits
				check(again)
			}
		})
	}
}

// TestAbove checks that the level, the same for all senders, frees the given amount.
func TestAbove(t *testing.T) {
	for _, c := range []struct {
		has  map[string]int64
		free int64
		want map[string]int64
	}{
		{map[string]int64{"a": 10, "b": 2}, 3, map[string]int64{"a": 3}},
		{map[string]int64{"a": 10, "b": 10, "c": 1}, 4, map[string]int64{"a": 2, "b": 2}},
		{map[string]int64{"a": 10, "b": 8}, 6, map[string]int64{"a": 4, "b": 2}},
		{map[string]int64{"a": 1}, 5, map[string]int64{"a": 1}},
	} {
		if got := above(c.has, c.free); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%v, %d: %v, want %v", c.has, c.free, got, c.want)
		}
	}
}

// BenchmarkFlood appends a row from a sender that floods a talk in which another sender has used half of the limit.
func BenchmarkFlood(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "h"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for i := range maxRows {
		s.Append("everyone", Row{At: at(i), Kind: Text, From: []string{"anna", "mallory"}[2*i/maxRows], Text: "a line of a conversation"})
	}
	i := maxRows
	for b.Loop() {
		i++
		s.Append("everyone", Row{At: at(i), Kind: Text, From: "mallory", Text: "a line of a conversation"})
	}
}
