package cli

import (
	"io"
	"testing"

	"multipeer/engine"
	"multipeer/transfer"
)

// TestSend_WaitsForTheDiskOfTheOtherSide: --wait limits how long a peer may be gone, not how long its disk may be full
// or missing.
func TestSend_WaitsForTheDiskOfTheOtherSide(t *testing.T) {
	for err, away := range map[error]bool{
		engine.ErrLost: true, transfer.ErrDiskFull: false, &transfer.Failure{Remote: true, Err: transfer.ErrUnmounted}: false,
	} {
		s := newSending(&program{out: newPrinter(io.Discard, io.Discard)})
		tr := engine.Transfer{ID: "x", State: engine.Stalled, Err: err}
		s.bars[tr.ID] = &progress{out: s.out}
		s.show(tr, nil)
		if _, is := s.awaySince[tr.ID]; is != away {
			t.Errorf("%v counts as away: %v", err, is)
		}
	}
}
