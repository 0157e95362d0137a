package doctor

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/discovery"
	"multipeer/engine/enginetest"
)

// byHand is a discovery that reports what the test chooses.
type byHand struct{ sink chan discovery.Sink }

func (d byHand) Run(ctx context.Context, _ discovery.Announcement, to discovery.Sink) error {
	d.sink <- to
	<-ctx.Done()
	return nil
}

func (byHand) Update(discovery.Announcement) {}
func (byHand) Forget(engine.PeerID)          {}
func (byHand) Recheck(engine.PeerID)         {}
func (byHand) Link(netip.Addr) string        { return "" }

// TestDoctor_HiddenDeviceStaysHidden: the doctor does not reveal a hidden device to the strangers that its user hides
// it from. Otherwise it dials the peers that it has found.
func TestDoctor_HiddenDeviceStaysHidden(t *testing.T) {
	for visible, shown := range map[engine.Visibility]bool{engine.VisibleToAll: true, engine.VisibleToKnown: false, engine.VisibleToNobody: false} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Millisecond)
			found := byHand{make(chan discovery.Sink, 1)}
			alice := net.Start(engine.Config{Name: "Alice", Visible: visible, Discovery: found})
			stranger := net.Start(engine.Config{Name: "stranger", Blind: true})
			(<-found.sink).Found(discovery.Hint{ID: stranger.Self().ID, Addrs: []netip.AddrPort{stranger.Addr}, How: "test"})
			d := &doctor{alice.Engine, func(Finding) {}}
			d.dialFound(t.Context())
			time.Sleep(time.Minute)
			if _, known := stranger.Peer(alice.Self().ID); known != shown {
				t.Errorf("visibility %v: the stranger knows it: %v", visible, known)
			}
		})
	}
}
