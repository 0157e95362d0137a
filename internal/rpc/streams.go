package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"

	"multipeer/engine"
	"multipeer/internal/connlimit"
)

const (
	// maxOpened is how many streams the program may have open, maxTaken how many it may have accepted from each peer,
	// maxOfStrangers how many from all strangers, and maxOfSource how many from strangers at one address, because keys
	// cost nothing.
	maxOpened      = 256
	maxTaken       = 32
	maxOfStrangers = 1024
	maxOfSource    = maxOfStrangers / 4
	// maxChunk is the maximum size of one read, in bytes; minChunk is that of the first one, because many streams may
	// wait for data.
	minChunk = 4 << 10
	maxChunk = 256 << 10
)

// streamHandle is a stream that the program refers to by a number.
type streamHandle struct {
	s     *engine.Stream
	taken bool // the peer opened it
	// lastRead is how many bytes the last read returned; the next one may return twice as many.
	lastRead int
	from     netip.Addr // the peer's address, if it is a stranger that opened the stream; see connlimit.SourceOf
}

type (
	openStreamParams struct {
		Peer engine.PeerID `json:"peer"`
		Name string        `json:"name"`
	}
	streamNameParams struct {
		Name string `json:"name"`
	}
	streamResult struct {
		Stream int64         `json:"stream"`
		Peer   engine.PeerID `json:"peer"`
		Name   string        `json:"name"`
	}
	// streamParams are the parameters of all methods for an open stream.
	streamParams struct {
		Stream int64  `json:"stream"`
		Max    int    `json:"max,omitempty"`  // read: the maximum number of bytes
		Data   []byte `json:"data,omitempty"` // write
		Code   uint16 `json:"code,omitempty"` // reset
	}
	readResult struct {
		Data []byte `json:"data"`
		End  bool   `json:"end"` // the other side will write no more
	}
)

// addStream assigns a number to a stream. It returns false if there are too many of its kind. Before that, it removes
// streams that have ended without being closed by the program.
func (s *session) addStream(stream *engine.Stream, taken bool) (int64, bool) {
	h := &streamHandle{s: stream, taken: taken}
	if taken {
		h.from = s.strangerAt(stream.Peer)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || !s.hasRoomLocked(h) {
		return 0, false
	}
	return s.streams.add(h), true
}

// strangerAt returns the address of a stranger; the zero address for a known peer.
func (s *session) strangerAt(id engine.PeerID) netip.Addr {
	e, err := s.engine()
	if err != nil {
		return netip.Addr{}
	}
	p, _ := e.Peer(id)
	if p.Trust != engine.TrustUnknown {
		return netip.Addr{}
	}
	if !p.Addr.IsValid() { // its connection has just ended
		return netip.IPv4Unspecified()
	}
	return connlimit.SourceOf(p.Addr.Addr())
}

// hasRoomLocked reports whether one more stream is within the limits. It removes streams that have ended.
func (s *session) hasRoomLocked(next *streamHandle) bool {
	var opened, ofPeer, ofStrangers, ofSource int
	count := func(n *int, is bool) {
		if is {
			*n++
		}
	}
	for number, h := range s.streams.all {
		select {
		case <-h.s.Done():
			delete(s.streams.all, number)
			continue
		default:
		}
		count(&opened, !h.taken)
		count(&ofPeer, h.taken && h.s.Peer == next.s.Peer)
		count(&ofStrangers, h.from.IsValid())
		count(&ofSource, h.from.IsValid() && h.from == next.from)
	}
	switch {
	case !next.taken:
		return opened < maxOpened
	case next.from.IsValid() && (ofStrangers >= maxOfStrangers || ofSource >= maxOfSource): // guard: rpc-streams
		return false
	}
	return ofPeer < maxTaken
}

func openStream(s *session, ctx context.Context, p openStreamParams) (r streamResult, err error) {
	e, err := s.engine()
	if err != nil {
		return r, err
	}
	stream, err := e.OpenStream(ctx, p.Peer, p.Name)
	if err != nil {
		return r, err
	}
	n, ok := s.addStream(stream, false)
	if !ok {
		stream.Reset(0)
		return r, fmt.Errorf("%w: %d streams are open", engine.ErrBusy, maxOpened)
	}
	return streamResult{n, stream.Peer, stream.Name}, nil
}

// handleStream passes on the streams with one name. An empty name means all streams that nothing else handles.
func handleStream(s *session, _ context.Context, p streamNameParams) (none, error) {
	return none{}, s.exclusive("stream "+p.Name, func(e *engine.Engine) func() {
		return e.HandleStream(p.Name, func(stream *engine.Stream) {
			n, ok := s.addStream(stream, true)
			if !ok {
				stream.Reset(0)
				return
			}
			s.notify("stream", streamResult{n, stream.Peer, stream.Name})
			<-stream.Done()
		})
	})
}

func unhandleStream(s *session, _ context.Context, p streamNameParams) (none, error) {
	return none{}, s.unlisten("stream " + p.Name)
}

func (s *session) stream(n int64) (*streamHandle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.streams.all[n]; h != nil {
		return h, nil
	}
	return nil, errNoHandle
}

// streamMethod returns a method whose calls for one stream run in the order of their requests, separately for each
// direction.
func streamMethod[R any](direction string, f func(*streamHandle, context.Context, streamParams) (R, error)) method {
	return func(s *session, params json.RawMessage, r *responder) {
		p, err := decode[streamParams](params)
		if err != nil {
			r.soon(nil, err)
			return
		}
		h, err := s.stream(p.Stream)
		if err != nil {
			r.soon(nil, err)
			return
		}
		queued := s.serial.run(&s.wg, fmt.Sprint(direction, p.Stream), func() {
			result, err := f(h, s.calls, p)
			r.done(result, err)
		})
		if !queued {
			r.soon(nil, fmt.Errorf("%w: %d calls for this stream are waiting", engine.ErrBusy, maxQueued))
		}
	}
}

// readStream waits for data or the end.
func readStream(h *streamHandle, _ context.Context, p streamParams) (readResult, error) {
	if p.Max < 0 {
		return readResult{}, badParams("max: must be 1 or more")
	}
	if p.Max == 0 || p.Max > maxChunk {
		p.Max = maxChunk
	}
	buf := make([]byte, min(p.Max, max(h.lastRead*2, minChunk)))
	n, err := h.s.Read(buf)
	h.lastRead = n
	r := readResult{Data: buf[:n]}
	if errors.Is(err, io.EOF) {
		r.End, err = true, nil
	}
	if n > 0 { // the next read reports the error
		err = nil
	}
	return r, err
}

func writeStream(h *streamHandle, _ context.Context, p streamParams) (none, error) {
	_, err := h.s.Write(p.Data)
	return none{}, err
}

func (s *session) takeStream(n int64) (*streamHandle, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := s.streams.all[n]
	if h == nil {
		return nil, errNoHandle
	}
	delete(s.streams.all, n)
	return h, nil
}

// closeStream waits until previously written data has been sent.
func closeStream(s *session, ctx context.Context, p streamParams) (none, error) {
	h, err := s.stream(p.Stream)
	if err != nil {
		return none{}, err
	}
	closed := make(chan error, 1)
	if !s.serial.run(&s.wg, fmt.Sprint("write", p.Stream), func() { closed <- h.s.Close() }) {
		h.s.Reset(0)
	}
	defer func() { _, _ = s.takeStream(p.Stream) }() // until then, reset can end the stream
	select {
	case err = <-closed:
	case <-h.s.Done(): // the stream was reset
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return none{}, err
}

func resetStream(s *session, _ context.Context, p streamParams) (none, error) {
	h, err := s.takeStream(p.Stream)
	if err != nil {
		return none{}, err
	}
	h.s.Reset(p.Code)
	return none{}, nil
}
