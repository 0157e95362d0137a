package transfers

import (
	"fmt"
	"math"

	"multipeer/transfer"
)

// agreement is what a person saw of an offer when accepting it.
type agreement struct {
	totals   transfer.Totals
	counting bool // the sender was visibly still counting
}

// errMore ends an attempt that delivers more than the person saw when accepting: the person is asked again.
var errMore = fmt.Errorf("%w: more data is arriving than was shown when the offer was accepted", transfer.ErrInterrupted)

// byteLimitLocked returns how many bytes an accepted offer may deliver.
func (t *item) byteLimitLocked() transfer.Totals {
	v := t.view
	if t.byPolicy { // accepted by policy: the limit is what was charged for it
		return transfer.Totals{Files: v.Files, Folders: v.Folders, Bytes: cost(v) - 4<<10*(v.Files+v.Folders)}
	}
	if a := t.agreed; a.counting { // the sender had counted only a part
		files, folders, size := a.totals.Files, a.totals.Folders, min(a.totals.Bytes, math.MaxInt64/8)
		return transfer.Totals{Files: more(4*files, 4, 1000), Folders: more(4*folders, 4, 1000), Bytes: more(4*size, 4, 64<<20)}
	}
	return grown(v.Files, v.Folders, v.Bytes)
}

// The minimum margins by which a delivery may exceed its offer. A sender sends only the entries that it has counted. If
// files have grown since, it sends in total at most a 32nd and 32 KiB more than it has counted (transfer.sender.bound).
// Only a sender that was restarted counts again, and a folder may then hold a little more. An offer of files only
// always has the same files.
const (
	grownFile    = 64 << 10
	grownFolder  = 1 << 20
	grownEntries = 8
)

// grown returns the size to which a source may have grown since it was counted.
func grown(files, folders, size int64) transfer.Totals {
	size = min(size, math.MaxInt64/2)
	if folders == 0 { // guard: files-alone
		return transfer.Totals{Files: files, Bytes: more(size, 16, grownFile)}
	}
	return transfer.Totals{Files: more(files, 16, grownEntries), Folders: more(folders, 16, grownEntries), Bytes: more(size, 16, grownFolder)}
}

func more(n, share, least int64) int64 { return n + max(n/share, least) }

// exceeds reports whether arrived is over the limit in any respect.
func exceeds(arrived, limit transfer.Totals) bool {
	return arrived.Files+arrived.Links > limit.Files || arrived.Folders > limit.Folders || arrived.Bytes > limit.Bytes
}

// within returns a function that reports whether an accepted offer may deliver a given amount: what was announced, and
// slightly more for a source that has grown since. Anything beyond that is a violation, unless the sender was still
// counting when the offer was accepted, announced the larger size when it repeated the offer, or has been counting
// again since. In these cases the person is asked again.
func (m *Manager) within(t *item) func(transfer.Totals) error {
	return func(arrived transfer.Totals) error {
		m.mu.Lock()
		defer m.mu.Unlock()
		limit := t.byteLimitLocked()
		if exceeds(arrived, limit) { // guard: offered-totals
			msg := t.newest
			said := msg.ID != "" && (msg.Counting || !exceeds(arrived, grown(msg.Files, msg.Folders, msg.Bytes)))
			if !t.byPolicy && (t.agreed.counting || said) {
				return errMore
			}
			return transfer.ErrTooMuch
		}
		return nil
	}
}
