package doctor

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
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

// TestDoctor_TwinIsNotNobody: where the only other device uses the identity of this one, that is the finding. The doctor does
// not also advise the user to look for a device that it has heard.
func TestDoctor_TwinIsNotNobody(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	synctest.Test(t, func(t *testing.T) {
		first := enginetest.New(t, time.Millisecond).Start(engine.Config{Profile: one})
		if err := first.Stop(); err != nil {
			t.Fatal(err)
		}
	})
	if err := os.CopyFS(two, os.DirFS(one)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"identity.key"} {
		if err := os.Chmod(filepath.Join(two, name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(two, 0o700); err != nil {
		t.Fatal(err)
	}
	for twin, want := range map[bool][]Name{true: {SameIdentity}, false: {Nobody}} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Millisecond)
			found := byHand{make(chan discovery.Sink, 1)}
			a := net.Start(engine.Config{Profile: one, Discovery: found})
			sink := <-found.sink
			if twin {
				b := net.Start(engine.Config{Profile: two, Blind: true})
				sink.Found(discovery.Hint{ID: b.Self().ID, Addrs: []netip.AddrPort{b.Addr}, How: "test"})
			}
			time.Sleep(10 * time.Second)
			var got []Name
			Examine(t.Context(), a.Engine, Options{OwnPort: true}, func(f Finding) {
				if f.Name == SameIdentity || f.Name == Nobody || f.Name == OtherFirewall {
					got = append(got, f.Name)
				}
			})
			if !slices.Equal(got, want) {
				t.Errorf("with a twin %v: %v", twin, got)
			}
		})
	}
}
