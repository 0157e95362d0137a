package window

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine/internal/wire"
)

// testLink records the numbers of the messages that it carries.
type testLink struct{ carried []uint64 }

func (l *testLink) Queue(frame []byte) {
	m, err := wire.Decode(frame[4:])
	if err != nil {
		panic(err)
	}
	l.carried = append(l.carried, m.(wire.Text).N)
}

// post posts a message and returns the channel that gets its result.
func post(t *testing.T, ctx context.Context, w *Window) chan error {
	t.Helper()
	if !w.Reserve() {
		t.Fatal("there is no room")
	}
	result := make(chan error, 2)
	w.Post(ctx, wire.Text{Body: json.RawMessage(`1`)}, func(err error) { result <- err })
	return result
}

// answered returns the result of a message, which must have arrived.
func answered(t *testing.T, result chan error) error {
	t.Helper()
	select {
	case err := <-result:
		return err
	default:
		t.Fatal("there is no result")
		return nil
	}
}

func TestWindow_RepeatsWhatHasNoAnswerOnTheNextLink(t *testing.T) {
	w, one, two := New(NewBudget(1<<30), func() {}), &testLink{}, &testLink{}
	w.Attach(one)
	first, second := post(t, t.Context(), w), post(t, t.Context(), w)
	w.Answered(one, 1, wire.Bye)
	if err := answered(t, first); err != nil {
		t.Error(err)
	}
	w.Detach()
	third := post(t, t.Context(), w)
	w.Attach(two)
	if len(one.carried) != 2 || len(two.carried) != 2 || two.carried[0] != 2 || two.carried[1] != 3 {
		t.Errorf("carried %v, then %v", one.carried, two.carried)
	}
	w.Answered(one, 2, wire.Busy) // a late answer over the link that is gone
	w.Answered(two, 2, wire.Bye)
	w.Answered(two, 3, wire.Busy)
	if err := answered(t, second); err != nil {
		t.Error(err)
	}
	if err := answered(t, third); !errors.Is(err, wire.ErrBusy) {
		t.Error(err)
	}
}

func TestWindow_LimitsWhatIsInFlight(t *testing.T) {
	w, l := New(NewBudget(1<<30), func() {}), &testLink{}
	w.Attach(l)
	var results []chan error
	for range MaxPending {
		results = append(results, post(t, t.Context(), w))
	}
	if w.Reserve() {
		t.Error("there is room for more than MaxPending messages")
	}
	if len(l.carried) != inFlight {
		t.Errorf("%d messages are in flight, not %d", len(l.carried), inFlight)
	}
	for n := range uint64(MaxPending) {
		w.Answered(l, n+1, wire.Bye)
		if err := answered(t, results[n]); err != nil {
			t.Errorf("message %d: %v", n+1, err)
		}
	}
	if !w.Reserve() {
		t.Error("answered messages keep their room")
	}
}

func TestWindow_TakesEachMessageOnce(t *testing.T) {
	w, l := New(NewBudget(1<<30), func() {}), &testLink{}
	w.Attach(l)
	delivered := 0
	var answers []wire.Code
	take := func(over Link, n uint64, code wire.Code) {
		w.Take(over, n, 1, func() wire.Code { delivered++; return code }, func(c wire.Code) { answers = append(answers, c) })
	}
	take(l, 1, wire.Unavailable)
	take(l, 1, wire.Bye)           // repeated: the first answer again
	take(&testLink{}, 2, wire.Bye) // over a link that does not carry the session
	take(l, 1000, wire.Bye)        // the ones before it never came
	take(l, 999, wire.Bye)
	take(l, 2, wire.Bye) // older than every answer that is kept
	want := []wire.Code{wire.Unavailable, wire.Unavailable, wire.Bye, wire.Failed, wire.Failed}
	if delivered != 2 || len(answers) != len(want) {
		t.Fatalf("%d delivered, answers %v", delivered, answers)
	}
	for i := range want {
		if answers[i] != want[i] {
			t.Errorf("answer %d is %v, not %v", i, answers[i], want[i])
		}
	}
}

func TestWindow_ReportsTheEndOfEachWait(t *testing.T) {
	w := New(NewBudget(1<<30), func() {})
	if err := answered(t, post(t, t.Context(), w)); !errors.Is(err, wire.ErrNotConnected) {
		t.Errorf("before the first link: %v", err)
	}
	w.Attach(&testLink{})
	w.Detach()
	waiting := post(t, t.Context(), w)
	w.End(wire.ErrBye)
	if err := answered(t, waiting); !errors.Is(err, wire.ErrBye) {
		t.Errorf("at the end: %v", err)
	}
	w.Attach(&testLink{})
	for w.Reserve() { // fill it
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := w.AwaitRoom(ctx, nil); !errors.Is(err, wire.ErrCancelled) {
		t.Errorf("a wait that was cancelled: %v", err)
	}
	done := make(chan struct{})
	close(done)
	if err := w.AwaitRoom(t.Context(), done); !errors.Is(err, wire.ErrClosed) {
		t.Errorf("a wait when the engine ends: %v", err)
	}
}

// TestWindow_KeepsMessagesUntilThereIsRoom: if a program has no room, the other side waits and loses nothing.
func TestWindow_KeepsMessagesUntilThereIsRoom(t *testing.T) {
	w, l := New(NewBudget(1<<30), func() {}), &testLink{}
	w.Attach(l)
	room := 0
	var delivered []uint64
	var answers []wire.Code
	take := func(over Link, n uint64, size int) {
		deliver := func() wire.Code {
			if room == 0 {
				return Later
			}
			room--
			delivered = append(delivered, n)
			return wire.Bye
		}
		w.Take(over, n, size, deliver, func(c wire.Code) { answers = append(answers, c) })
	}
	for n := range uint64(3) {
		take(l, n+1, 1)
	}
	w.Retry()
	if len(delivered)+len(answers) != 0 {
		t.Fatalf("without room: delivered %v, answers %v", delivered, answers)
	}
	room = 2
	take(l, 4, 1) // it must not overtake the others
	w.Retry()
	next := &testLink{}
	w.Attach(next)
	take(next, 3, 1) // repeated over the new connection
	room = 9
	w.Retry()
	if !slices.Equal(delivered, []uint64{1, 2, 3, 4}) || len(answers) != 4 {
		t.Errorf("delivered %v, answers %v", delivered, answers)
	}
	room = 0
	for n := range uint64(10 * inFlight) { // a peer that ignores its window
		take(next, 5+n, 1)
	}
	if len(w.parked) != inFlight {
		t.Errorf("%d messages are kept", len(w.parked))
	}
	w.End(wire.ErrBye)
	w.Attach(next)
	for n := range uint64(inFlight) {
		take(next, 5+n, wire.MaxMessage)
	}
	if n := len(w.parked); n*wire.MaxMessage > inFlightBytes+wire.MaxMessage {
		t.Errorf("%d large messages are kept", n)
	}
}

// TestWindow_WaitsForTheSharedBudget: the total that many peers send to a busy program is bounded.
func TestWindow_WaitsForTheSharedBudget(t *testing.T) {
	budget := NewBudget(100)
	one, other, l := New(budget, func() {}), New(budget, func() {}), &testLink{}
	one.Attach(l)
	other.Attach(l)
	code := Later
	deliver := func() wire.Code { return code }
	answered := 0
	answer := func(wire.Code) { answered++ }
	if !one.Take(l, 1, 90, deliver, answer) || other.Take(l, 1, 90, deliver, answer) {
		t.Error("the budget is exceeded")
	}
	freed := budget.Freed()
	code = wire.Bye
	one.Retry()
	other.Retry()
	if answered != 1 {
		t.Error("a message beyond the budget was kept")
	}
	select {
	case <-freed:
	default:
		t.Error("there is no word of the room")
	}
	code = Later
	if !other.Take(l, 1, 90, deliver, answer) {
		t.Error("the bytes were not given back")
	}
	other.End(wire.ErrBye)
	if !one.Take(l, 2, 100, deliver, answer) || answered != 1 {
		t.Errorf("an end gives nothing back; %d answers", answered)
	}
}

func firstPending(w *Window) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending[0].n
}

func lastPending(w *Window) uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pending[len(w.pending)-1].n
}

// TestWindow_MuteIsWhoAnswersNothing: a peer is mute if a full window gets no answer for 30 s, however short the time
// limits of the messages are, and whatever else the peer sends; but not while this side does not read, and not after an
// answer.
func TestWindow_MuteIsWhoAnswersNothing(t *testing.T) {
	for name, c := range map[string]struct {
		during func(w *Window, l *testLink) // each second
		mute   bool
	}{
		"silence":                    {func(*Window, *testLink) {}, true},
		"an answer to nothing":       {func(w *Window, l *testLink) { w.Answered(l, 0, wire.Bye) }, true},
		"this side reads nothing":    {func(w *Window, _ *testLink) { w.Blocked() }, false},
		"an answer now and then":     {func(w *Window, l *testLink) { w.Answered(l, firstPending(w), wire.Bye) }, false},
		"the window is not full":     {func(w *Window, l *testLink) { w.Answered(l, lastPending(w), wire.Bye) }, false},
		"a new connection each time": {func(w *Window, _ *testLink) { w.Detach(); w.Attach(&testLink{}) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var mute atomic.Bool
				w, l := New(NewBudget(1<<30), func() { mute.Store(true) }), &testLink{}
				w.Attach(l)
				post := func(limit time.Duration) {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					t.Cleanup(cancel)
					if w.Reserve() {
						w.Post(ctx, wire.Text{Body: json.RawMessage(`1`)}, func(error) {})
					}
				}
				for range inFlight {
					post(300 * time.Millisecond)
				}
				time.Sleep(time.Second)
				if mute.Load() {
					t.Error("a short limit of the messages counts as silence")
				}
				for range 60 {
					c.during(w, l)
					time.Sleep(time.Second)
					post(time.Second)
				}
				if mute.Load() != c.mute {
					t.Errorf("mute: %v", mute.Load())
				}
				w.End(wire.ErrClosed)
			})
		})
	}
}
