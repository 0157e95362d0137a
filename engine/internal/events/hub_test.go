package events

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"multipeer/engine/internal/identity"
)

// event is state if it has a key, and otherwise a message from a peer.
type event struct {
	key  string
	text string
	from identity.PeerID
	held *Held

	topic string
	lossy bool // an unreliable message
}

func traitsOf(ev event) Traits {
	if ev.key != "" {
		return Traits{State: ev.key, Change: true}
	}
	if ev.held == nil {
		return Traits{}
	}
	return Traits{Kind: Messages, Topic: ev.topic, Limited: true, From: ev.from, Bytes: len(ev.text), Message: true, Unreliable: ev.lossy, Held: ev.held}
}

func message(text string) event { return event{text: text, held: new(Held)} }

func newTestHub(abandoned *[]event) *Hub[event] {
	return NewHub(traitsOf, func(ev event) { *abandoned = append(*abandoned, ev) }, func() {})
}

// texts reads the queued events and ends.
func texts(h *Hub[event], r *Reader[event]) (out []string) {
	for ev := range h.Read(r, func() event { return event{text: "snapshot"} }) {
		out = append(out, ev.text)
	}
	return out
}

func TestHub_NewerStateReplacesOlder(t *testing.T) {
	h := newTestHub(new([]event))
	r := h.Subscribe(t.Context(), Messages, event{text: "first"})
	for _, ev := range []event{{key: "a", text: "a1"}, {key: "b", text: "b1"}, {key: "a", text: "a2"}} {
		h.Publish(ev)
	}
	h.Close()
	if got := texts(h, r); !slices.Equal(got, []string{"first", "a2", "b1"}) {
		t.Errorf("%q", got)
	}
}

func TestHub_SlowReaderGetsSnapshot(t *testing.T) {
	h := newTestHub(new([]event))
	r := h.Subscribe(t.Context(), Messages, event{text: "first"})
	for range MaxQueue + 1 {
		h.Publish(event{text: "news"})
	}
	h.Close()
	if got := texts(h, r); len(got) != MaxQueue+1 || got[MaxQueue] != "snapshot" {
		t.Errorf("%d events", len(got))
	}
}

func TestHub_OnePeerCannotFillAQueue(t *testing.T) {
	h := newTestHub(new([]event))
	h.Subscribe(t.Context(), Messages, event{text: "first"})
	taken := 0
	for range 2 * maxQueuedOfOne {
		if h.Publish(message("flood")) {
			taken++
		}
	}
	other := message("hello")
	other.from[0] = 1
	if !h.Publish(other) || taken != maxQueuedOfOne {
		t.Errorf("%d messages of one peer were accepted", taken)
	}
}

func TestHub_MessageLeftBehindGoesToNextReader(t *testing.T) {
	h := newTestHub(new([]event))
	if h.HasReader(Messages, "") || h.Publish(message("too early")) {
		t.Error("taken without a reader")
	}
	quiet := h.Subscribe(t.Context(), 0, event{text: "first"})
	if h.HasReader(Messages, "") || h.Publish(message("too early")) {
		t.Error("taken by a quiet reader")
	}
	r := h.Subscribe(t.Context(), Messages, event{text: "first"})
	if !h.Publish(message("hello")) {
		t.Fatal("not accepted")
	}
	for range h.Read(r, nil) { // leaves after the snapshot
		break
	}
	next := h.Subscribe(t.Context(), Messages, event{text: "second"})
	h.Close()
	if got := texts(h, next); !slices.Equal(got, []string{"second", "hello"}) {
		t.Errorf("%q", got)
	}
	if got := texts(h, quiet); !slices.Equal(got, []string{"first"}) {
		t.Errorf("%q", got)
	}
}

func TestHub_ChangeWakesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(new([]event))
		changed, woken := h.Changed(), false
		go func() { <-changed; woken = true }()
		h.Publish(event{text: "news"})
		synctest.Wait()
		if woken {
			t.Error("woken by an event that changes nothing")
		}
		h.Publish(event{key: "a"})
		synctest.Wait()
		if !woken {
			t.Error("not woken")
		}
	})
}

func TestHub_ContextEndsWaitingReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTestHub(new([]event))
		ctx, cancel := context.WithCancel(t.Context())
		r := h.Subscribe(ctx, Messages, event{text: "first"})
		var got []string
		go func() { got = texts(h, r) }()
		synctest.Wait()
		h.Publish(message("last"))
		cancel()
		synctest.Wait()
		if !slices.Contains(got, "last") {
			t.Errorf("%q", got)
		}
	})
}

// TestHub_EndedReaderTakesNothing: an ended context counts at once, so that its sender knows what nobody will read.
func TestHub_EndedReaderTakesNothing(t *testing.T) {
	for _, topic := range []string{"", "chess"} {
		synctest.Test(t, func(t *testing.T) {
			h := newTestHub(new([]event))
			ctx, cancel := context.WithCancel(t.Context())
			r := h.Subscribe(ctx, Messages, event{text: "first"})
			if topic != "" {
				r = h.SubscribeTopic(ctx, topic)
			}
			go texts(h, r)
			synctest.Wait()
			late := message("late")
			late.topic = topic
			cancel()
			if h.Publish(late) || h.HasReader(Messages, topic) {
				t.Errorf("a reader of %q takes messages after its end", topic)
			}
			synctest.Wait()
		})
	}
}

// TestHub_LeftBehindIsLimited: messages that no reader fetches do not accumulate without limit; the newest are kept.
func TestHub_LeftBehindIsLimited(t *testing.T) {
	h := newTestHub(new([]event))
	for n := range 3 {
		topic := strings.Repeat("t", n+1)
		r := h.SubscribeTopic(t.Context(), topic)
		for from := range 30 {
			ev := message(strings.Repeat("x", 1<<20))
			ev.topic, ev.from[0] = topic, byte(from)
			if !h.Publish(ev) {
				t.Fatal("not accepted")
			}
		}
		for range h.Read(r, nil) {
			break
		}
	}
	bytes := 0
	for _, ev := range h.unread {
		bytes += len(ev.text)
	}
	if bytes > MaxQueuedBytes || bytes < MaxQueuedBytes/8 {
		t.Errorf("%d MiB are kept", bytes>>20)
	}
}

// TestHub_OnePeerHasPartOfTheQueue: a peer that sends without end leaves space for the messages of others.
func TestHub_OnePeerHasPartOfTheQueue(t *testing.T) {
	h := newTestHub(new([]event))
	r := h.Subscribe(t.Context(), Messages, event{text: "first"})
	taken := 0
	for range 2 * MaxQueue {
		if h.Publish(message("noise")) {
			taken++
		}
	}
	lossy := 0
	for range 2 * MaxQueue {
		noise := message("noise")
		noise.lossy, noise.from[0] = true, 2
		if h.Publish(noise) {
			lossy++
		}
	}
	if lossy > maxQueuedUnreliable {
		t.Errorf("%d unreliable messages of one peer are queued", lossy)
	}
	friend := message("hello")
	friend.from[0] = 1
	if taken > maxQueuedOfOne || !h.Publish(friend) {
		t.Errorf("%d messages of one peer are queued, and the other one is refused", taken)
	}
	h.Close()
	if got := texts(h, r); got[len(got)-1] != "hello" {
		t.Errorf("the last message is %q", got[len(got)-1])
	}
}
