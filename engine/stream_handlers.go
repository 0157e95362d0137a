package engine

import (
	"context"
	"fmt"
	"sync"

	"multipeer/engine/internal/events"
	"multipeer/engine/internal/wire"
)

// streamHandlers holds the handlers of incoming streams, by name.
type streamHandlers struct {
	mu sync.Mutex
	// byName maps names to handlers. The empty name stands for all names not listed; a nil function means a Handler.
	byName map[string]func(*Stream)
}

// HandleStream has f take the streams of one name that peers open, each on its own goroutine, until stop is called;
// stop does not wait for f. An empty name means all that have no handler. The stream is closed when f returns, and
// reset if it panics. When the engine ends, reads and writes fail; Run waits for f, Close does not. Streams without a
// handler fail with ErrUnavailable. HandleStream panics if the name, which all packages share, is taken or invalid.
func (e *Engine) HandleStream(name string, f func(*Stream)) (stop func()) {
	if f == nil {
		panic("engine: HandleStream without a function")
	}
	return e.streams.add(name, func(s *Stream) {
		f(s)
		_ = s.Close()
	})
}

func (h *streamHandlers) add(name string, f func(*Stream)) (remove func()) {
	if name != "" && wire.ValidateStreamName(name) != nil {
		panic(fmt.Sprintf("engine: no peer can open a stream with the name %q", name))
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, taken := h.byName[name]; taken {
		panic(fmt.Sprintf("engine: two handlers for streams named %q", name))
	}
	if h.byName == nil {
		h.byName = map[string]func(*Stream){}
	}
	h.byName[name] = f
	var once sync.Once
	return func() {
		once.Do(func() {
			h.mu.Lock()
			defer h.mu.Unlock()
			delete(h.byName, name)
		})
	}
}

// take passes s to its handler. If there is none, the code is the reason.
func (h *streamHandlers) take(e *Engine, s *Stream) (refused wire.Code) {
	h.mu.Lock()
	f, claimed := h.byName[s.Name]
	if !claimed {
		f, claimed = h.byName[""]
	}
	h.mu.Unlock()
	switch {
	case !claimed:
		return wire.Unavailable
	case f != nil:
		if !e.calls.Start(func(context.Context) {
			recoverPanic(e, "HandleStream", func() { f(s) }, func() { s.s.Abandon(wire.Internal) })
		}) {
			return wire.Unavailable
		}
	case !e.events.Publish(streamReceived{s}):
		return e.unreadCode(events.Streams)
	}
	return 0
}
