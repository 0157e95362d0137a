package history

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func texts(rows []Row) (out []string) {
	for _, r := range rows {
		out = append(out, r.Text)
	}
	return out
}

func each(t *testing.T, test func(t *testing.T, s *Store)) {
	t.Run("file", func(t *testing.T) { test(t, open(t, filepath.Join(t.TempDir(), "h"))) })
	t.Run("memory", func(t *testing.T) { test(t, Memory()) })
}

func TestRows_AreReadBeforeAndAfterCommit(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for i := range 10 {
			if seq := s.Append("ben", Row{Kind: Text, Text: fmt.Sprint(i)}); seq != uint64(i+1) {
				t.Fatalf("row %d has number %d", i, seq)
			}
		}
		for range 2 {
			if got := texts(s.Rows("ben", 4, 3)); !slices.Equal(got, []string{"3", "4", "5"}) {
				t.Errorf("the middle is %q", got)
			}
			if got := texts(s.Rows("ben", 9, 100)); !slices.Equal(got, []string{"8", "9"}) {
				t.Errorf("the end is %q", got)
			}
			if got := s.Rows("nobody", 1, 5); len(got) != 0 {
				t.Errorf("of nobody: %v", got)
			}
			if s.db != nil {
				if err := s.commit(); err != nil {
					t.Fatal(err)
				}
			}
		}
		s.Set("ben", 5, Row{Kind: Text, Text: "changed", State: Failed, Note: "why"})
		s.Set("ben", 99, Row{Text: "no such row"})
		if got := texts(s.Rows("ben", 4, 3)); !slices.Equal(got, []string{"3", "changed", "5"}) {
			t.Errorf("half of it on disk: %q", got)
		}
		if first, next := s.Bounds("ben"); first != 1 || next != 11 {
			t.Errorf("from %d to %d", first, next)
		}
	})
}

func TestStore_SurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "h")
	s := open(t, path)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	s.Append("ben", Row{Kind: Text, Text: "kept", At: at})
	s.Append("ben", Row{Kind: Transfer, File: &File{ID: "x", Names: []string{"Photo.JPG"}}, At: at.Add(time.Second)})
	s.Append("eva", Row{Kind: Text, Text: "cleared"})
	s.Update("ben", func(k *Talk) { k.Name, k.Unread, k.Draft, k.Open = "Ben", 3, "half a thou", []uint64{1} })
	if err := s.Clear("eva"); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, path)
	k := s.Talks()["ben"]
	if k.Name != "Ben" || k.Unread != 3 || k.Draft != "half a thou" || !slices.Equal(k.Open, []uint64{1}) || !k.Last.Equal(at.Add(time.Second)) || len(s.Talks()) != 1 {
		t.Errorf("%+v", s.Talks())
	}
	rows := s.Rows("ben", 1, 10)
	if len(rows) != 2 || rows[0].Text != "kept" || !rows[0].At.Equal(at) || rows[1].File.Names[0] != "Photo.JPG" {
		t.Errorf("%+v", rows)
	}
	if seq := s.Append("ben", Row{}); seq != 3 {
		t.Errorf("continues at %d", seq)
	}
	if err := s.ClearAll(); err != nil {
		t.Fatal(err)
	}
	_ = s.Close()
	if s = open(t, path); len(s.Talks()) != 0 {
		t.Errorf("after ClearAll: %+v", s.Talks())
	}
}

func TestSearch_FindsTheNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		at := time.Unix(1000, 0)
		for i := range 2500 {
			text := "nothing"
			if i%1000 == 0 {
				text = fmt.Sprintf("Grüße %d", i)
			}
			s.Append("ben", Row{Kind: Text, Text: text, At: at.Add(time.Duration(i) * time.Second)})
		}
		s.Append("eva", Row{Kind: Transfer, File: &File{Names: []string{"GRÜSSE grüße.txt"}}, At: at.Add(time.Hour)})
		hits := s.Search(t.Context(), " grüße ", 2)
		var got []string
		for _, h := range hits {
			got = append(got, fmt.Sprint(h.Talk, h.Seq))
		}
		if want := []string{"eva1", "ben2001", "ben1001"}; !slices.Equal(got, want) {
			t.Errorf("found %q, want %q", got, want)
		}
		if h := s.Search(t.Context(), "  ", 5); h != nil {
			t.Errorf("nothing was searched, and %d found", len(h))
		}
	})
}

// TestStore_FloodDoesNotFillTheDisk: the oldest rows are deleted, the newest stay, the numbers stay consecutive.
func TestStore_FloodDoesNotFillTheDisk(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("x", 1<<20)
		for range 400 {
			s.Append("ben", Row{Kind: Text, Text: long})
		}
		last := s.Append("ben", Row{Kind: Text, Text: "the last"})
		first, next := s.Bounds("ben")
		if held := int64(next-first) << 20; held > maxBytes+1<<20 {
			t.Errorf("%d MiB are kept", held>>20)
		}
		if r, ok := s.Row("ben", last); !ok || r.Text != "the last" {
			t.Errorf("the last row is %.20q", r.Text)
		}
		if _, ok := s.Row("ben", first-1); ok {
			t.Error("a row that went can be read")
		}
		if s.db == nil {
			return
		}
		path := s.db.Path()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = open(t, path)
		if f, n := s.Bounds("ben"); f != first || n != next {
			t.Errorf("after a restart %d to %d, before %d to %d", f, n, first, next)
		}
	})
}

// TestStore_FailingDiskIsReported: a failing disk is reported, nothing blocks forever, and the newest rows can be
// read.
func TestStore_FailingDiskIsReported(t *testing.T) {
	s := open(t, filepath.Join(t.TempDir(), "h"))
	if err := s.commit(); err != nil {
		t.Fatal(err)
	}
	reported := make(chan error, 10)
	s.OnProblem(func(err error) { reported <- err })
	_ = s.db.Close() // simulates a disk that is gone
	s.Append("ben", Row{Text: "a"})
	if s.commit() == nil || s.Problem() == nil {
		t.Fatal("nobody noticed")
	}
	if err := s.commit(); err == nil || <-reported == nil || len(reported) > 0 {
		t.Error("the problem was not reported once")
	}
	for range maxPending + 10 {
		s.Append("ben", Row{Text: "b"})
	}
	last := s.Append("ben", Row{Text: "c"})
	if r, ok := s.Row("ben", last); !ok || r.Text != "c" {
		t.Errorf("the newest is %q", r.Text)
	}
}

func BenchmarkAppend(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "h"))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		s.Append("ben", Row{Kind: Text, Text: "a line of a conversation", At: time.Now()})
	}
	_ = s.Close()
}

func BenchmarkPageOf100000(b *testing.B) {
	s, err := Open(filepath.Join(b.TempDir(), "h"))
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for range 100_000 {
		s.Append("ben", Row{Kind: Text, Text: "a line of a conversation", At: time.Now()})
	}
	_ = s.commit()
	seq := uint64(1)
	for b.Loop() {
		s.Rows("ben", seq, 64)
		seq = (seq+7919)%99_000 + 1
	}
}
