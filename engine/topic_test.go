package engine_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// sessionOfTwo starts two engines with a session.
func sessionOfTwo(t *testing.T) (a, b *enginetest.Node) {
	t.Helper()
	net := enginetest.New(t, latency)
	a, b = net.Start(open("a")), net.Start(open("b"))
	for _, at := range []struct{ from, to *enginetest.Node }{{a, b}, {b, a}} {
		if _, err := at.from.WaitPeer(t.Context(), at.to.Self().ID, engine.Connected); err != nil {
			t.Fatal(err)
		}
	}
	return a, b
}

// topicTexts reads the messages of a topic until stop is called, which returns their text.
func topicTexts(t *testing.T, topic *engine.Topic) (stop func() []string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	messages, done := topic.Messages(ctx), make(chan []string)
	go func() {
		var got []string
		for m := range messages {
			got = append(got, fmt.Sprintf("%s %s%s %v", m.Topic, m.Body, m.Data, m.Unreliable))
		}
		done <- got
	}()
	return func() []string { cancel(); return <-done }
}

// TestTopic_TwoPackagesShareAnEngine: each topic gets its own messages, in order, and no reader of events gets them.
func TestTopic_TwoPackagesShareAnEngine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		chess, chat := topicTexts(t, b.Topic("chess")), topicTexts(t, b.Topic("chat ☺"))
		var plain atomic.Int64
		b.Handle(t.Context(), engine.Handler{Receive: func(engine.Message) { plain.Add(1) }})
		to := b.Self().ID
		for i := range 3 {
			if r, err := a.Topic("chess").Send(t.Context(), i, to); err != nil || r[0].Err != nil {
				t.Fatal(r, err)
			}
		}
		if d, err := a.Topic("chat ☺").Post(t.Context(), []byte("raw"), to); err != nil || d.Results()[0].Err != nil {
			t.Fatal(err)
		}
		for _, v := range []any{"hi", []byte{}} {
			if _, err := a.Topic("chess").SendDatagram(v, to); err != nil {
				t.Fatal(err)
			}
		}
		if r, err := a.Send(t.Context(), "to all readers", to); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		r, err := a.Topic("nobody reads this").Send(t.Context(), 1, to)
		if !errors.Is(err, engine.ErrUnavailable) {
			t.Errorf("a topic without a reader: %v %v", r, err)
		}
		time.Sleep(time.Second)
		want := []string{"chess 0 false", "chess 1 false", "chess 2 false", `chess "hi" true`, "chess  true"}
		if got := chess(); !slices.Equal(got, want) {
			t.Errorf("chess got %q", got)
		}
		if got := chat(); !slices.Equal(got, []string{"chat ☺ raw false"}) {
			t.Errorf("chat got %q", got)
		}
		if plain.Load() != 1 {
			t.Errorf("a reader of events got %d messages", plain.Load())
		}
	})
}

// TestTopic_MessageLeftBehindGoesToItsNextReader: what was acknowledged is not lost, and no other topic gets it.
func TestTopic_MessageLeftBehindGoesToItsNextReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		_ = b.Topic("chess").Messages(t.Context()) // never read
		ctx, cancel := context.WithCancel(t.Context())
		first := b.Topic("chess").Messages(ctx)
		if r, err := a.Topic("chess").Send(t.Context(), "move", b.Self().ID); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		cancel()
		synctest.Wait()
		for range first {
		}
		chat, chess := topicTexts(t, b.Topic("chat")), topicTexts(t, b.Topic("chess"))
		time.Sleep(time.Second)
		if got := chat(); len(got) != 0 {
			t.Errorf("chat got %q", got)
		}
		_ = chess()
	})
}

// TestBytes_AreLimitedAsTheyAre: the limits apply to the bytes themselves, and every byte arrives.
func TestBytes_AreLimitedAsTheyAre(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := sessionOfTwo(t)
		got := make(chan engine.Message, 10)
		b.Handle(t.Context(), engine.Handler{Receive: func(m engine.Message) { got <- m }})
		to := b.Self().ID
		large := bytes.Repeat([]byte{0, 255, '"', '\n'}, engine.MaxMessage/4)
		if r, err := a.Send(t.Context(), []byte(large), to); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		m := <-got
		var back []byte
		if err := m.Decode(&back); err != nil || !bytes.Equal(back, large) || m.Body != nil {
			t.Errorf("%d bytes came, %v", len(back), err)
		}
		var text string
		if err := m.Decode(&text); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("bytes decoded as JSON: %v", err)
		}
		if _, err := a.Send(t.Context(), []byte(append(large, 1)), to); !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("one byte more: %v", err)
		}
		gram := large[:engine.MaxDatagram]
		if r, err := a.Topic(strings.Repeat("t", engine.MaxTopic)).SendDatagram([]byte(gram), to); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if r, err := a.SendDatagram([]byte(gram), to); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if m := <-got; !bytes.Equal(m.Data, gram) || !m.Unreliable {
			t.Errorf("%d bytes came as a datagram", len(m.Data))
		}
		if _, err := a.SendDatagram([]byte(large[:engine.MaxDatagram+1]), to); !errors.Is(err, engine.ErrTooLarge) {
			t.Errorf("one byte more: %v", err)
		}
		if r, err := a.Send(t.Context(), []byte(nil), to); err != nil || r[0].Err != nil {
			t.Fatal(r, err)
		}
		if m := <-got; m.Data == nil || len(m.Data) != 0 {
			t.Errorf("no bytes came as %q %q", m.Body, m.Data)
		}
	})
}

// TestTopic_InvalidNamePanics checks that an invalid name panics, as an invalid pattern does in net/http.
func TestTopic_InvalidNamePanics(t *testing.T) {
	a := enginetest.New(t, 0).Start(open("a"))
	for _, name := range []string{"", strings.Repeat("x", engine.MaxTopic+1), "a\nb", "\xff"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q is accepted", name)
				}
			}()
			a.Topic(name)
		}()
	}
}
