package engine_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
	"multipeer/transfer"
)

// laneBlock encodes records as block n of a lane; see the protocol.
func laneBlock(n uint64, records []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte{'B'}, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(records)))
	return append(b, records...)
}

// pretend accepts offers, and opens a lane for each, on which serve pretends to receive until ctx ends or serve returns.
func (r *raw) pretend(ctx context.Context, t *testing.T, lanes *sync.WaitGroup, to *enginetest.Node, conn *transport.Conn, s *transport.Stream, serve func(context.Context, io.Writer, wire.Lane)) {
	for {
		m, err := s.ReadMessage(wire.MaxFrame)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case wire.Ping:
			_ = s.WriteMessage(wire.Pong(m))
		case wire.Offer:
			_ = s.WriteMessage(wire.OfferAnswer{ID: m.ID, Accept: true, Attempt: m.Attempt})
			token, err := conn.Token(m.ID)
			if err != nil {
				t.Error(err)
				return
			}
			lanes.Go(func() { r.pretendLane(ctx, to, wire.Lane{ID: m.ID, Attempt: m.Attempt, Token: token}, serve) })
		}
	}
}

func (r *raw) pretendLane(ctx context.Context, to *enginetest.Node, hello wire.Lane, serve func(context.Context, io.Writer, wire.Lane)) {
	for ctx.Err() == nil { // the sender refuses lanes before the transfer has its turn
		conn, err := r.Dial(ctx, to.Addr, transport.KeyOf(to.Self().ID), transport.Lane)
		if err != nil {
			return
		}
		defer conn.Close(wire.Bye)
		s, err := conn.OpenStream(ctx)
		if err != nil {
			return
		}
		_ = s.WriteMessage(hello)
		if m, err := s.ReadMessage(wire.MaxFrame); err != nil || m.(wire.LaneAck).Code != wire.Bye {
			conn.Close(wire.Bye)
			time.Sleep(300 * time.Millisecond)
			continue
		}
		go func() {
			for b := make([]byte, 4096); ; {
				if _, err := s.Read(b); err != nil {
					return
				}
			}
		}()
		serve(ctx, s, hello)
		return
	}
}

// progressBlock is block n of a lane with a report that this many bytes have arrived.
func progressBlock(n, bytes uint64) []byte {
	progress := append(binary.AppendUvarint(nil, bytes), 0, 0)
	return laneBlock(n, append([]byte{'P', byte(len(progress))}, progress...))
}

// takeNothing takes no data, and reports one more byte every second.
func takeNothing(ctx context.Context, lane io.Writer, _ wire.Lane) {
	_, _ = lane.Write(laneBlock(0, []byte{'G', 1, 1}))
	for n := uint64(1); ctx.Err() == nil; n++ {
		if _, err := lane.Write(progressBlock(n, n)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// takeSlowly takes a block every four seconds, and reports a gigabyte a second.
func takeSlowly(ctx context.Context, lane io.Writer, _ wire.Lane) {
	_, _ = lane.Write(laneBlock(0, []byte{'G', 1, 0}))
	for n := uint64(1); ctx.Err() == nil; n++ {
		if n%4 == 0 {
			_, _ = lane.Write(binary.BigEndian.AppendUint64([]byte{'K'}, n/4))
		}
		if _, err := lane.Write(progressBlock(n, n<<30)); err != nil {
			return
		}
		time.Sleep(time.Second)
	}
}

// breakOff takes no data, reports one byte more than in the attempt before, and closes the lane.
func breakOff(_ context.Context, lane io.Writer, hello wire.Lane) {
	_, _ = lane.Write(laneBlock(0, []byte{'G', 1, 0}))
	_, _ = lane.Write(progressBlock(1, uint64(hello.Attempt)))
	time.Sleep(300 * time.Millisecond)
}

// offerToPretender offers a file to a receiver that does what serve does with each lane.
func offerToPretender(t *testing.T, file string, serve func(context.Context, io.Writer, wire.Lane)) (*enginetest.Node, engine.Transfer) {
	t.Helper()
	net := enginetest.New(t, latency)
	a := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone})
	ctx, stop := context.WithCancel(t.Context())
	lanes := &sync.WaitGroup{}
	t.Cleanup(func() {
		stop()
		lanes.Wait()
	})
	r := newRaw(t, net)
	conn, s := r.join(t, a)
	go r.pretend(ctx, t, lanes, a, conn, s, serve)
	tr, err := a.Offer(t.Context(), r.id.ID, file)
	if err != nil {
		t.Fatal(err)
	}
	return a, tr
}

// TestRetry_FakedProgressEnds: a receiver that breaks off each attempt, and reports a little progress each time, does
// not make the sender try forever.
func TestRetry_FakedProgressEnds(t *testing.T) {
	file := bytesIn(t, 20_000_000)
	synctest.Test(t, func(t *testing.T) {
		a, tr := offerToPretender(t, file, breakOff)
		within, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		if end, err := a.Wait(within, tr.ID); end.State != engine.Failed || end.Attempts > 20 {
			t.Errorf("%v after %d attempts, %v", end.State, end.Attempts, err)
		}
		a.Cancel(tr.ID)
	})
}

// finishForever takes everything, and reports that it is made durable, again and again.
func finishForever(ctx context.Context, lane io.Writer, _ wire.Lane) {
	_, _ = lane.Write(laneBlock(0, []byte{'G', 1, 0}))
	time.Sleep(time.Second) // the end is sent
	for n := uint64(1); ctx.Err() == nil; n++ {
		p := append(binary.AppendUvarint(nil, 10), 1, byte(transfer.Finishing))
		if _, err := lane.Write(laneBlock(n, append([]byte{'P', byte(len(p))}, p...))); err != nil {
			return
		}
		time.Sleep(2 * time.Second)
	}
}

// TestRetry_FinishingForeverEnds: a receiver that has everything and never sends its receipt does not keep the transfer
// open for good.
func TestRetry_FinishingForeverEnds(t *testing.T) {
	file := bytesIn(t, 10)
	synctest.Test(t, func(t *testing.T) {
		a, tr := offerToPretender(t, file, finishForever)
		time.Sleep(20 * time.Minute)
		if now := of(t, a, tr.ID); now.State != engine.Finishing || now.Attempts != 1 {
			t.Errorf("after 20 minutes: %v in attempt %d: a slow disk needs that time", now.State, now.Attempts)
		}
		within, cancel := context.WithTimeout(t.Context(), 4*time.Hour)
		defer cancel()
		if end, err := a.Wait(within, tr.ID); end.State != engine.Failed || !errors.Is(end.Err, transfer.ErrStalled) {
			t.Errorf("%v after %d attempts, %v, %v", end.State, end.Attempts, end.Err, err)
		}
		a.Cancel(tr.ID)
	})
}

// TestTurns_FakedProgressHoldsNone: receivers that take no data, or hardly any, and report progress nevertheless, do not
// keep others from getting theirs.
func TestTurns_FakedProgressHoldsNone(t *testing.T) {
	t.Run("none is taken", func(t *testing.T) { // they count as stalled before they count as slow
		fakedProgress(t, 8*time.Second, 1500*time.Millisecond, takeNothing)
	})
	t.Run("little is taken", func(t *testing.T) { fakedProgress(t, 30*time.Second, 5*time.Minute, takeSlowly) })
}

// fakedProgress offers files to receivers that get all turns, and after a while one to another, which has to get it in
// time.
func fakedProgress(t *testing.T, after, inTime time.Duration, serve func(context.Context, io.Writer, wire.Lane)) {
	file, dir := bytesIn(t, 20_000_000), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, honest := net.Start(engine.Config{Offers: engine.Everyone, Accept: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		ctx, stop := context.WithCancel(t.Context())
		var lanes sync.WaitGroup
		defer lanes.Wait()
		defer stop()
		for range 3 { // with 4 transfers each, they get all 12 turns
			r := newRaw(t, net)
			conn, s := r.join(t, a)
			go r.pretend(ctx, t, &lanes, a, conn, s, serve)
			for range 4 {
				if _, err := a.Offer(t.Context(), r.id.ID, file); err != nil {
					t.Fatal(err)
				}
			}
		}
		time.Sleep(after)
		acceptAll(t, honest, engine.AcceptOptions{Dir: dir, Reserve: -1})
		meet(t, a, honest)
		tr, err := a.Offer(t.Context(), honest.Self().ID, bytesIn(t, 100_000))
		if err != nil {
			t.Fatal(err)
		}
		within, cancel := context.WithTimeout(t.Context(), inTime)
		defer cancel()
		if end, err := a.Wait(within, tr.ID); err != nil || end.State != engine.Delivered {
			t.Errorf("%v, %v", end.State, err)
		}
		for _, x := range a.Transfers() {
			a.Cancel(x.ID)
		}
	})
}

// TestTurns_SlowReceiversKeepNoOneWaiting: twelve transfers that hardly use the network do not delay another one until
// they are done.
func TestTurns_SlowReceiversKeepNoOneWaiting(t *testing.T) {
	file, dir := bytesIn(t, 10_000_000), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		net.Limit(4_000_000, 256<<10) // to each receiver, for four transfers
		a := net.Start(engine.Config{Offers: engine.Everyone})
		var sent []engine.TransferID
		for range 3 {
			slow := net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, slow, engine.AcceptOptions{Dir: dir, Reserve: -1})
			meet(t, a, slow)
			for range 4 {
				tr, err := a.Offer(t.Context(), slow.Self().ID, file)
				if err != nil {
					t.Fatal(err)
				}
				sent = append(sent, tr.ID)
			}
		}
		time.Sleep(20 * time.Second)
		other := net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, other, engine.AcceptOptions{Dir: dir, Reserve: -1})
		meet(t, a, other)
		tr, err := a.Offer(t.Context(), other.Self().ID, bytesIn(t, 100_000))
		if err != nil {
			t.Fatal(err)
		}
		within, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		if end, err := a.Wait(within, tr.ID); err != nil || end.State != engine.Delivered {
			t.Errorf("%v, %v", end.State, err)
		}
		for _, id := range sent {
			a.Cancel(id)
		}
		time.Sleep(5 * time.Second)
	})
}
