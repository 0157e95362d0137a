package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// TestRecover_AfterAPowerCutWhilePublishing: the names are durable, but the journal's record of them is not.
func TestRecover_AfterAPowerCutWhilePublishing(t *testing.T) {
	base, dst := t.TempDir(), t.TempDir()
	var paths []string
	for i := range 4 {
		p := filepath.Join(base, fmt.Sprintf("f%d", i))
		random(t, p, 1000, byte(i))
		paths = append(paths, p)
	}
	journal := filepath.Join(dst, PartialDir, "x", journalName)
	n := 0
	_, _, _, err := run(t, t.Context(), paths, ReceiveOptions{Dir: dst, ID: "x", Key: "k", check: func(op, _ string) error {
		if op == "link" {
			n++
		}
		if n >= 3 {
			return errors.New("power cut")
		}
		return nil
	}})
	if err == nil {
		t.Fatal("was not cut")
	}
	b, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	_ = scan(bytes.NewReader(b), func(kind byte, _ []byte, at int64) bool {
		if kind == jourEnd {
			end = at
		}
		return true
	})
	if err := os.Truncate(journal, end); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Recover(ReceiveOptions{Dir: dst, ID: "x", Key: "k"})
	if !ok || err != nil || len(got.Saved) != 4 || len(visible(t, dst)) != 4 {
		t.Errorf("%v, %v, saved %q, %d entries", ok, err, got.Saved, len(visible(t, dst)))
	}
}
