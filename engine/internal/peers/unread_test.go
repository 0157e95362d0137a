package peers

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/tasks"
)

// countedLink is a link that only counts.
type countedLink struct {
	in, out atomic.Uint64
	forged  atomic.Uint64 // bytes of packets that are not the peer's
	friend  atomic.Bool
	refused atomic.Bool
}

func (l *countedLink) received() (bytes, packets uint64) {
	bytes = l.in.Load()
	return bytes + l.forged.Load(), bytes / 1000
}
func (l *countedLink) taken() uint64 { return l.out.Load() }
func (l *countedLink) trusted() bool { return l.friend.Load() }
func (l *countedLink) refuse()       { l.refused.Store(true) }

// TestUnread_ClosesTheLinksThatHoldTheMost: a link without a session loses its connection if it has sent much that could
// not be read, alone or together with others; links that are read, and those with a session, keep theirs.
func TestUnread_ClosesTheLinksThatHoldTheMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		group := &tasks.Group{}
		group.Begin(ctx)
		defer group.Wait()
		defer cancel()
		u := &unread{tasks: group, links: map[unreadLink]*unreadBytes{}}
		var honest, friend, greedy countedLink
		friend.friend.Store(true)
		var many [20]countedLink
		for _, l := range []*countedLink{&honest, &friend, &greedy} {
			defer u.add(l)()
		}
		for range 100 { // credit is not saved up
			honest.in.Add(1000)
			honest.out.Add(2000)
			greedy.out.Add(10_000)
			time.Sleep(unreadPause)
		}
		time.Sleep(2 * sessionsPause) // the last credit has been seen
		greedy.in.Add(maxUnreadOfOne + 1000)
		friend.in.Add(100 << 20)
		honest.forged.Add(100 << 20)
		time.Sleep(2 * sessionsPause)
		if honest.refused.Load() || friend.refused.Load() || !greedy.refused.Load() {
			t.Errorf("closed: honest %v, friend %v, greedy %v", honest.refused.Load(), friend.refused.Load(), greedy.refused.Load())
		}
		for i := range many {
			defer u.add(&many[i])()
			many[i].in.Store(uint64(maxUnreadOfOne - i))
		}
		time.Sleep(2 * sessionsPause)
		closed := 0
		for i := range many {
			if many[i].refused.Load() {
				closed++
			}
		}
		if left := (len(many) - closed) * maxUnreadOfOne; left > maxUnread+maxUnreadOfOne || closed == len(many) || honest.refused.Load() {
			t.Errorf("%d of %d are closed, honest %v", closed, len(many), honest.refused.Load())
		}
	})
}
