package transfer

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
)

// TestResources_ShortageLeavesNothingOut checks that a moment with too many open files ends an attempt that is repeated, and
// neither leaves files out nor fails the transfer.
func TestResources_ShortageLeavesNothingOut(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	for i := range 20 {
		write(t, filepath.Join(src, fmt.Sprint(i)), strings.Repeat("x", i))
	}
	for _, shortage := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM} {
		var opens atomic.Int64
		recv := ReceiveOptions{Dir: dst, ID: "x", Key: fmt.Sprint(shortage), Reserve: -1, check: func(op, _ string) error {
			if op == "open" && opens.Add(1) == 7 {
				return shortage
			}
			return nil
		}}
		_, _, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
		if !errors.Is(se, ErrResources) || !Passing(se) || !errors.Is(re, ErrResources) || !Passing(re) {
			t.Errorf("%v: sender: %v; receiver: %v", shortage, se, re)
		}
		sent, got, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
		if se != nil || re != nil || sent.LeftOut > 0 || got.LeftOut > 0 {
			t.Errorf("%v, again: %v, %v, %+v", shortage, se, re, got)
		}
	}
	if got, want := filesOf(visible(t, filepath.Join(dst, "d"))), filesOf(visible(t, src)); len(got) != len(want) || !maps.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	s := &sender{}
	if err := s.leftOut(recSkipped, item{entry: entry{path: "a"}}, syscall.EMFILE); !errors.Is(err, ErrResources) {
		t.Errorf("a file that cannot be opened now: %v", err)
	}
}
