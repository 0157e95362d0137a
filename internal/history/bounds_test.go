package history

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// at returns a time that increases with n.
func at(n int) time.Time { return time.Unix(1_800_000_000+int64(n), 0).UTC() }

// TestHeldTalk_IsNotWritten: unanswered strangers leave nothing on disk, however many they are.
func TestHeldTalk_IsNotWritten(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	s := open(t, path)
	for i := range 5_000 {
		talk := fmt.Sprint("stranger", i)
		seq := s.Hold(talk, Row{At: at(i), Kind: Transfer, File: &File{ID: fmt.Sprint(i), Names: []string{strings.Repeat("x", 300)}}})
		s.Update(talk, func(k *Talk) { k.Name, k.Unread = "Mallory", 1 })
		s.Set(talk, seq, Row{At: at(i), Kind: Transfer, File: &File{ID: fmt.Sprint(i), State: 8}})
	}
	for i := range 1_000 { // and one that asks again and again
		s.Hold("stranger4999", Row{At: at(5_000 + i), Kind: Notice, Text: "asked"})
	}
	if n := len(s.Talks()); n > defaultLimits.heldTalks {
		t.Errorf("%d talks in memory", n)
	}
	if n := len(s.held); n > defaultLimits.heldTalks*defaultLimits.heldRows {
		t.Errorf("%d rows in memory", n)
	}
	if first, next := s.Bounds("stranger4999"); next-first != uint64(defaultLimits.heldRows) || s.Rows("stranger4999", first, 100)[0].Text != "asked" {
		t.Errorf("the newest one has %d to %d", first, next)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() > 256<<10 {
		t.Errorf("%d bytes on the disk, %v", info.Size(), err)
	}
	if got := open(t, path).Talks(); len(got) != 0 {
		t.Errorf("%d talks were written", len(got))
	}
}

// TestHeldTalk_IsKeptOnceTheUserActs: the talk is stored with all its rows.
func TestHeldTalk_IsKeptOnceTheUserActs(t *testing.T) {
	for how, keep := range map[string]func(s *Store){
		"Keep":   func(s *Store) { s.Keep("eva") },
		"Append": func(s *Store) { s.Append("eva", Row{At: at(9), Kind: Text, Text: "yes", Own: true}) },
		"draft":  func(s *Store) { s.Update("eva", func(k *Talk) { k.Draft = "dear" }) },
	} {
		path := filepath.Join(t.TempDir(), "h")
		s := open(t, path)
		s.Hold("eva", Row{At: at(1), Kind: Notice, Text: "one"})
		seq := s.Hold("eva", Row{At: at(2), Kind: Notice, Text: "two"})
		s.Set("eva", seq, Row{At: at(2), Kind: Notice, Text: "changed"})
		s.Update("eva", func(k *Talk) { k.Name = "Eva" })
		keep(s)
		s.Hold("eva", Row{At: at(10), Kind: Notice, Text: "later"})
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
		first, next := s.Bounds("eva")
		rows := s.Rows("eva", first, int(next-first))
		if len(rows) < 3 || rows[0].Text != "one" || rows[1].Text != "changed" || rows[len(rows)-1].Text != "later" || s.Talks()["eva"].Name != "Eva" {
			t.Errorf("%s: %+v, %+v", how, rows, s.Talks())
		}
	}
}

// TestTalks_AreBounded: one-sided talks are dropped first, oldest first; then rows of the largest talk.
func TestTalks_AreBounded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	s := open(t, path)
	s.limits = limits{rows: maxRows, rowBytes: maxBytes, heldTalks: 5, heldRows: 5, oneSided: 100, oneSidedBytes: 1 << 20, bytes: 3 << 20}
	text := strings.Repeat("x", 10_000)
	s.Append("ben", Row{At: at(0), Kind: Text, Text: "mine", Own: true})
	s.Append("camera", Row{At: at(1), Kind: Text, Text: "verified"})
	s.Update("camera", func(k *Talk) { k.OneSided = false })
	for i := range 3_000 {
		s.Append(fmt.Sprint("stranger", i), Row{At: at(i + 2), Kind: Text, Text: text})
		if i%500 == 0 { // some talks are on disk when they are dropped
			if err := s.commit(); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.Append("stranger0", Row{At: at(9_000), Kind: Text, Text: "back"})
	total := func(s *Store) (all int64, n int) {
		for name, k := range s.Talks() {
			all += k.Bytes
			if strings.HasPrefix(name, "stranger") {
				n++
			}
		}
		return all, n
	}
	if all, n := total(s); n > 101 || all > 2<<20 {
		t.Errorf("%d talks of strangers, %d bytes in total", n, all)
	}
	if first, next := s.Bounds("stranger0"); next-first != 1 || s.Rows("stranger0", first, 9)[0].Text != "back" || first == 1 {
		t.Errorf("one that was dropped has rows %d to %d", first, next)
	}
	for i := range 1_000 {
		s.Append("ben", Row{At: at(10_000 + i), Kind: Text, Text: text, Own: true})
	}
	if all, _ := total(s); all > 4<<20 {
		t.Errorf("%d bytes in total", all)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	if all, n := total(s); n > 101 || all > 4<<20 {
		t.Errorf("on disk: %d talks of strangers, %d bytes in total", n, all)
	}
	for _, name := range []string{"ben", "camera"} {
		if first, next := s.Bounds(name); first == next {
			t.Errorf("%s is gone", name)
		}
	}
	if _, there := s.Talks()["stranger5"]; there {
		t.Error("the oldest stranger is still there")
	}
}

// TestTalks_NumbersOfDroppedRowsAreNotReused: the number of a deleted row never refers to another row.
func TestTalks_NumbersOfDroppedRowsAreNotReused(t *testing.T) {
	s := Memory()
	s.limits.oneSided = 1
	var seq uint64
	for i := range 5 {
		seq = s.Append("mallory", Row{At: at(i), Kind: Text, Text: "a"})
	}
	s.Append("eva", Row{At: at(9), Kind: Text, Text: "b"}) // displaces mallory
	s.Set("mallory", seq, Row{Kind: Text, Text: "ghost"})
	s.Update("mallory", func(k *Talk) { k.Name = "ghost" })
	if _, there := s.Talks()["mallory"]; there {
		t.Error("it is there again")
	}
	now := s.Append("mallory", Row{At: at(10), Kind: Text, Text: "c"})
	s.Set("mallory", seq, Row{Kind: Text, Text: "ghost"})
	if r, ok := s.Row("mallory", now); !ok || r.Text != "c" || now <= seq {
		t.Errorf("row %d is %+v", now, r)
	}
}
