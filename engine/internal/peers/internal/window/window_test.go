package window

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

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

// post posts a message and returns where its result arrives.
func post(t *testing.T, ctx context.Context, w *Window) chan error {
	t.Helper()
	if !w.Reserve() {
		t.Fatal("there is no room")
	}
	result := make(chan error, 2)
	w.Post(ctx, json.RawMessage(`1`), func(err error) { result <- err })
	return result
}

// answered returns the result of a message, which must be there.
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
	w, one, two := New(), &testLink{}, &testLink{}
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
	w, l := New(), &testLink{}
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
	w, l := New(), &testLink{}
	w.Attach(l)
	delivered := 0
	var answers []wire.Code
	take := func(over Link, n uint64, code wire.Code) {
		w.Take(over, n, func() wire.Code { delivered++; return code }, func(c wire.Code) { answers = append(answers, c) })
	}
	take(l, 1, wire.Busy)
	take(l, 1, wire.Bye)           // repeated: the first answer again
	take(&testLink{}, 2, wire.Bye) // over a link that does not carry the session
	take(l, 1000, wire.Bye)        // the ones before it never came
	take(l, 999, wire.Bye)
	take(l, 2, wire.Bye) // older than every answer that is kept
	want := []wire.Code{wire.Busy, wire.Busy, wire.Bye, wire.Failed, wire.Failed}
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
	w := New()
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
