package transfers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/tasks"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// device is a manager without an engine.
type device struct {
	*Manager
	profile *identity.Profile
	link    *testLink // to the other device; guarded by mu

	mu         sync.Mutex
	offers     []*Offer
	accepted   int
	acceptedBy int  // how often a peer has accepted
	deaf       bool // no program reads offers
}

func (d *device) Link(identity.PeerID) (Link, error) {
	if l := d.Current(identity.PeerID{}); l != nil {
		return l, nil
	}
	return nil, wire.ErrNotConnected
}

func (d *device) Current(identity.PeerID) Link {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.link == nil {
		return nil
	}
	return d.link
}

func (d *device) Changed() <-chan struct{}                                 { return make(chan struct{}) }
func (d *device) Probe(context.Context, identity.PeerID, []netip.AddrPort) {}
func (d *device) MayOffer(Link) bool                                       { return true }
func (d *device) Publish(Transfer)                                         {}

func (d *device) AcceptedBy(Link, string, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acceptedBy++
}

func (d *device) Accepted(identity.PeerID, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.accepted++
}

func (d *device) PublishOffer(o *Offer) (wire.Code, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.deaf {
		return wire.Unavailable, false
	}
	d.offers = append(d.offers, o)
	return 0, true
}

func (d *device) offer(t *testing.T) *Offer {
	t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.offers) == 0 {
		t.Fatal("no offer has arrived")
	}
	return d.offers[len(d.offers)-1]
}

// hold simulates a disk that stores nothing until the returned function is called.
func (s *storeWriter) hold() (release func()) {
	s.writing.Lock()
	return s.writing.Unlock
}

// asks implements Asks: it has no limits except on the number of refusals.
type asks struct {
	mu       sync.Mutex
	declined int
}

func (a *asks) MayPrompt(identity.PeerID, netip.Addr, bool) bool { return true }
func (a *asks) Accepted(identity.PeerID)                         {}
func (a *asks) Declined(identity.PeerID) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.declined++
}

func (a *asks) Unaccepted(identity.PeerID) {}

func (a *asks) RefusedTooOften(identity.PeerID) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.declined >= 3
}

// testLink passes messages to the other device through a queue. It carries no lanes.
type testLink struct {
	out  chan wire.Message
	gone chan struct{}
}

func newTestLink() *testLink {
	return &testLink{out: make(chan wire.Message, 1000), gone: make(chan struct{})}
}
func (l *testLink) Send(m wire.Message)          { l.out <- m }
func (l *testLink) Addrs() []netip.AddrPort      { return nil }
func (l *testLink) LanePorts() (udp, tcp int)    { return 0, 0 }
func (l *testLink) Token(string) (string, error) { return "token", nil }
func (l *testLink) Dialled() bool                { return true }
func (l *testLink) RemoteAddr() netip.AddrPort   { return netip.MustParseAddrPort("192.0.2.1:1") }
func (l *testLink) Done() <-chan struct{}        { return l.gone }
func (l *testLink) Err() error {
	select {
	case <-l.gone:
		return transport.ErrLost
	default:
		return nil
	}
}

// noLanes is a dialer that reaches nothing.
type noLanes struct{}

func (noLanes) DialTCP(context.Context, netip.AddrPort, identity.PeerID) (*transport.LaneConn, error) {
	return nil, transport.ErrLost
}

func (noLanes) DialQUIC(context.Context, netip.AddrPort, identity.PeerID) (*transport.LaneConn, error) {
	return nil, transport.ErrLost
}

// newDevice returns a device that runs until ctx ends.
func newDevice(t *testing.T, ctx context.Context, profile *identity.Profile) *device {
	g := &tasks.Group{}
	g.Begin(ctx)
	d := &device{profile: profile, link: newTestLink()}
	d.Manager = New(Config{Host: d, Asks: &asks{}, Profile: profile, Tasks: g, Calls: g, Ended: make(chan struct{}), Log: slog.New(slog.DiscardHandler), MaxLanes: 1})
	d.Start(noLanes{})
	t.Cleanup(g.Wait)
	return d
}

// pair returns two devices that are connected. It must run in a bubble of testing/synctest.
func pair(t *testing.T) (a, b *device) {
	ctx, cancel := context.WithCancel(t.Context())
	profile := func() *identity.Profile {
		p, err := identity.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	a, b = newDevice(t, ctx, profile()), newDevice(t, ctx, profile())
	for _, d := range [][2]*device{{a, b}, {b, a}} {
		go d[0].serve(ctx, d[1])
	}
	t.Cleanup(cancel)
	return a, b
}

// serve passes what d sends to another device.
func (d *device) serve(ctx context.Context, to *device) {
	from := d.profile.ID
	for {
		select {
		case m := <-d.link.out:
			switch m := m.(type) {
			case wire.Offer:
				to.TakeOffer(from, "other", to.link, m)
			case wire.OfferUpdate:
				to.TakeUpdate(from, m)
			case wire.OfferAnswer:
				to.TakeAnswer(from, to.link, m)
			case wire.OfferCancel:
				to.TakeCancel(from, m)
			case wire.OfferPause:
				to.TakePause(from, m.ID, true)
			case wire.OfferResume:
				to.TakePause(from, m.ID, false)
			case wire.Lanes:
				to.TakeLanes(from, m)
			}
		case <-ctx.Done():
			return
		}
	}
}

// offerTo offers a new file.
func (d *device) offerTo(t *testing.T, to *device, id ID, opts OfferOptions) Transfer {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := d.NewSource(context.Background(), []string{file}, opts)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := d.Offer(id, to.profile.ID, "other", src, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	return tr
}

// state returns the state of a transfer; -1 means that there is none.
// transferOf returns a transfer; its state is -1 if there is none.
func (d *device) transferOf(id ID) Transfer {
	for _, t := range d.List() {
		if t.ID == id {
			return t
		}
	}
	return Transfer{State: -1}
}

func (d *device) state(id ID) State { return d.transferOf(id).State }

func TestOffer_DeclinedIsDeclinedOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{})
		if a.state("1") != Offered || b.state("1") != Offered {
			t.Fatalf("%v, %v", a.state("1"), b.state("1"))
		}
		o := b.offer(t)
		if err := o.Decline(false); err != nil {
			t.Error(err)
		}
		if err := o.Accept(AcceptOptions{Dir: t.TempDir()}); !errors.Is(err, wire.ErrAnswered) {
			t.Errorf("accepted after that: %v", err)
		}
		synctest.Wait()
		got, err := a.Wait(t.Context(), "1")
		if err != nil || got.State != Declined || b.state("1") != Declined {
			t.Errorf("%v, %v, %v", got.State, b.state("1"), err)
		}
	})
}

func TestOffer_AcceptedWaitsForLanes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{Keep: true, Person: true})
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir(), Person: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		if a.state("1") != Queued || b.state("1").Final() || b.accepted != 1 {
			t.Errorf("%v, %v, accepted %d times", a.state("1"), b.state("1"), b.accepted)
		}
		if !a.Moves(b.profile.ID) || !b.Busy(a.profile.ID) {
			t.Error("no attempt is running")
		}
		if err := a.Pause("1"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if a.state("1") != Paused || b.state("1") != Paused {
			t.Errorf("%v, %v", a.state("1"), b.state("1"))
		}
		b.Cancel("1")
		synctest.Wait()
		if a.state("1") != Cancelled || b.state("1") != Cancelled {
			t.Errorf("%v, %v", a.state("1"), b.state("1"))
		}
	})
}

func TestOffer_UnansweredExpiresOnBothSides(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{})
		time.Sleep(OfferTimeout + time.Second)
		synctest.Wait()
		if a.state("1") != Failed || b.state("1") != Failed {
			t.Errorf("%v, %v", a.state("1"), b.state("1"))
		}
	})
}

func TestOffer_WithoutReaderIsUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		b.deaf = true
		a.offerTo(t, b, "1", OfferOptions{})
		got, err := a.Wait(t.Context(), "1")
		if err != nil || !errors.Is(got.Err, wire.ErrUnavailable) || b.state("1") != -1 {
			t.Errorf("%v, %v, %v", got.Err, b.state("1"), err)
		}
	})
}

// TestCost_CountsSmallFilesAndFolders: what an offer uses of a daily limit includes what its names take on the disk.
func TestCost_CountsSmallFilesAndFolders(t *testing.T) {
	for _, c := range []struct {
		offer Transfer
		least int64
	}{
		{Transfer{Files: 1000}, 1000 * 4096},
		{Transfer{Folders: 1000}, 1000 * 4096},
		{Transfer{Files: 1, Bytes: 1 << 20}, 1<<20 + 4096},
		{Transfer{Files: 1 << 62}, 1 << 60},
		{Transfer{Bytes: 1 << 62, Files: 1}, 1 << 60},
	} {
		if got := cost(c.offer); got < c.least || got < 0 {
			t.Errorf("%d files, %d folders, %d bytes cost %d", c.offer.Files, c.offer.Folders, c.offer.Bytes, got)
		}
	}
}

// TestOffer_StrangerHasFewPlaces: one more offer than a stranger may have open waits for a place. It fails if there is none
// for as long as an offer may wait for its answer.
func TestOffer_StrangerHasFewPlaces(t *testing.T) {
	for _, placeLeft := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			a, b := pair(t)
			for i := range offersPerStranger + 1 {
				a.offerTo(t, b, ID(fmt.Sprint(i)), OfferOptions{})
			}
			last := ID(fmt.Sprint(offersPerStranger))
			time.Sleep(OfferTimeout / 2)
			if got := a.transferOf(last); got.State != Queued || !errors.Is(got.Err, wire.ErrBusy) || len(b.offers) != offersPerStranger {
				t.Errorf("%v, %v, %d questions", got.State, got.Err, len(b.offers))
			}
			for i, o := range b.offers {
				if err := o.Decline(false); err != nil {
					t.Error(err)
				}
				if !placeLeft {
					synctest.Wait()
					a.offerTo(t, b, ID(fmt.Sprint("more", i)), OfferOptions{})
				}
			}
			time.Sleep(2 * retryMost)
			if placeLeft {
				if got := a.transferOf(last); got.State != Offered {
					t.Errorf("%v, %v", got.State, got.Err)
				}
				return
			}
			time.Sleep(OfferTimeout / 2)
			if got := a.transferOf(last); got.State != Failed || !errors.Is(got.Err, wire.ErrBusy) {
				t.Errorf("%v, %v", got.State, got.Err)
			}
		})
	}
}

func TestOffer_WithdrawnCannotBeAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{})
		a.Cancel("1")
		synctest.Wait()
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir()}); !errors.Is(err, wire.ErrAnswered) {
			t.Errorf("%v", err)
		}
		b.Freeze(func(_ []Transfer, offers []*Offer) {
			if len(offers) != 0 {
				t.Errorf("%d offers ask", len(offers))
			}
		})
	})
}

func TestOffer_BlockedPeerIsRevoked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{})
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		b.Block(a.profile.ID)
		synctest.Wait()
		if b.state("1") != Failed || b.Busy(a.profile.ID) {
			t.Errorf("%v", b.state("1"))
		}
	})
}

func TestOutbox_KeptOfferSurvivesRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		profile, err := identity.Ephemeral()
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		first := newDevice(t, ctx, profile)
		first.mu.Lock()
		first.link = nil // the peer is offline
		first.mu.Unlock()
		first.offerTo(t, &device{profile: &identity.Profile{Identity: &identity.Identity{ID: identity.PeerID{1}}}}, "1", OfferOptions{Keep: true, Priority: 7})
		stop()
		synctest.Wait()
		if err := first.Flush(); err != nil {
			t.Fatal(err)
		}
		ctx, stop = context.WithCancel(t.Context())
		defer stop()
		second := newDevice(t, ctx, profile)
		synctest.Wait()
		list := second.List()
		if len(list) != 1 || list[0].ID != "1" || !list[0].Keep || list[0].Priority != 7 || list[0].State.Final() {
			t.Errorf("%+v", list)
		}
	})
}

// TestTransfer_PanicFailsItAlone: a panic that the other side causes does not end the program.
func TestTransfer_PanicFailsItAlone(t *testing.T) {
	m := &Manager{log: slog.New(slog.DiscardHandler)}
	_, err := m.guarded(func() (transfer.Result, error) { panic("index out of range") })
	if !errors.Is(err, errPanic) || mayRetry(err) {
		t.Errorf("%v, continues: %v", err, mayRetry(err))
	}
	if result, err := m.guarded(func() (transfer.Result, error) { return transfer.Result{Renamed: 1}, nil }); err != nil || result.Renamed != 1 {
		t.Errorf("%+v, %v", result, err)
	}
}

// TestOffer_AcceptanceIsReportedOnce: a peer that repeats its answer does not cause a change of its trust each time.
func TestOffer_AcceptanceIsReportedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{Keep: true, Person: true})
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir(), Person: true}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		for range 10 {
			a.TakeAnswer(b.profile.ID, a.link, wire.OfferAnswer{ID: "1", Attempt: 1, Accept: true})
			time.Sleep(time.Millisecond)
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.acceptedBy != 1 {
			t.Errorf("reported %d times", a.acceptedBy)
		}
	})
}

// TestOffer_DeliveredOnlyIfSent: a peer cannot make this side show files as delivered that it has never sent.
func TestOffer_DeliveredOnlyIfSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{Keep: true})
		b.offer(t)
		a.TakeAnswer(b.profile.ID, a.link, wire.OfferAnswer{
			ID: "1", Attempt: 1, Code: wire.Delivered, Done: &wire.OfferDone{Files: 1, Bytes: 1},
		})
		time.Sleep(time.Second)
		if got := a.List()[0]; got.State != Failed || !errors.Is(got.Err, wire.ErrProtocol) {
			t.Errorf("%v, %v", got.State, got.Err)
		}
	})
}

// TestStore_ManyChangesAreOneSave: a peer that pauses and resumes faster than the disk can store does not pile up
// goroutines, and its last decision is stored.
func TestStore_ManyChangesAreOneSave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{Keep: true})
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir()}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		release := b.writer.hold()
		before := runtime.NumGoroutine()
		for i := range 1001 {
			b.TakePause(a.profile.ID, "1", i%2 == 0)
		}
		if n := runtime.NumGoroutine() - before; n > 5 {
			t.Errorf("%d goroutines", n)
		}
		release()
		time.Sleep(time.Second)
		if job := string(b.profile.Jobs()["/1"]); !strings.Contains(job, `"paused":true`) {
			t.Errorf("stored: %s", job)
		}
	})
}

// TestAutoAccept_WrongClockDoesNotUseUpTheLimit: a day that begins in the future, because the clock was wrong, is over.
func TestAutoAccept_WrongClockDoesNotUseUpTheLimit(t *testing.T) {
	r := identity.Record{Trust: identity.Verified, Auto: identity.Auto{Bytes: 100, Dir: "/x", Day: time.Now().AddDate(10, 0, 0), Used: 100}}
	if a, fits := fitting(r, 50); !fits || a.Used != 0 {
		t.Errorf("%+v, %v", a, fits)
	}
}

// TestChoose_StoredAnswersAreLimited: the record of a transfer, which a peer can have stored ten times a second, does not
// grow with the number of names that are taken.
func TestChoose_StoredAnswersAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pair(t)
		a.offerTo(t, b, "1", OfferOptions{Keep: true})
		if err := b.offer(t).Accept(AcceptOptions{Dir: t.TempDir(), Choose: func(string) transfer.Existing { return transfer.Replace }}); err != nil {
			t.Fatal(err)
		}
		r := &receiver{b.Manager, b.transfers["1"]}
		for i := range 2 * maxChosenStored {
			if got := r.choose(t.Context(), fmt.Sprint(i)); got != transfer.Replace {
				t.Fatalf("name %d: %v", i, got)
			}
		}
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(r.t.recordLocked()); n > 14*maxChosenStored || len(r.t.chosen) != 2*maxChosenStored {
			t.Errorf("a record of %d bytes for %d answers", n, len(r.t.chosen))
		}
	})
}
