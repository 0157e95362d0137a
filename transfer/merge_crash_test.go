package transfer

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// TestMerge_CrashAtEachMove: a crash while files are moved into an existing folder loses none of them, and leaves none
// out.
func TestMerge_CrashAtEachMove(t *testing.T) {
	for i := range 4 {
		hasLinks, policy := i%2 == 0, []Existing{SkipIdentical, Replace}[i/2]
		for n := 1; ; n++ {
			src, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
			for i := range 5 {
				write(t, filepath.Join(src, fmt.Sprintf("f%d", i)), fmt.Sprint("new ", i))
			}
			write(t, filepath.Join(dst, "top/f2"), "old")
			moves, crashed := 0, false
			check := func(op, _ string) error {
				if op == "rename" || op == "move" || op == "link" {
					moves++
				}
				switch {
				case crashed || moves >= n:
					crashed = true
					return errors.New("power cut")
				case op == "link" && !hasLinks:
					return errors.ErrUnsupported
				}
				return nil
			}
			opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Existing: policy, check: check}
			_, _, _, err := run(t, t.Context(), []string{src}, opts)
			if !crashed {
				if err != nil {
					t.Fatal(err)
				}
				break
			}
			opts.check = func(op, _ string) error {
				if op == "link" && !hasLinks {
					return errors.ErrUnsupported
				}
				return nil
			}
			got, done, err := Recover(opts)
			if !done && err == nil { // not everything had arrived
				continue
			}
			if err != nil || got.LeftOut > 0 {
				t.Errorf("links %v, crash at move %d: %d left out, %v %v", hasLinks, n, got.LeftOut, got.Notes, err)
			}
			for i := range 5 {
				name := fmt.Sprintf("top/f%d", i)
				if i == 2 && policy != Replace {
					name += " (2)"
				}
				if text := tree(t, dst)[name]; !strings.HasSuffix(text, fmt.Sprint(" new ", i)) {
					t.Errorf("links %v, crash at move %d: f%d is %q", hasLinks, n, i, text)
				}
			}
		}
	}
}
