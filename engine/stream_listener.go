package engine

import (
	"context"
	"net"
	"sync"

	"multipeer/engine/internal/wire"
)

// streamAddr is the address of a stream: a peer and the name of the stream. Its String is ID/name.
type streamAddr struct {
	Peer PeerID
	Name string
}

func (a streamAddr) Network() string { return "multipeer" }

func (a streamAddr) String() string { return a.Peer.String() + "/" + a.Name }

// LocalAddr returns this engine's end, as PeerID/name.
func (s *Stream) LocalAddr() net.Addr { return streamAddr{s.self, s.Name} }

// RemoteAddr returns the peer's end, as PeerID/name.
func (s *Stream) RemoteAddr() net.Addr { return streamAddr{s.Peer, s.Name} }

// DialStream returns a function that opens streams of one name to a peer, whatever address it is given, for example for
// http.Transport.DialContext. Idle connections of net/http count as open streams, of which there are 32 to a peer for all
// names together: set MaxConnsPerHost to at most that, and IdleConnTimeout.
func (e *Engine) DialStream(to PeerID, name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		s, err := e.OpenStream(ctx, to, name)
		if err != nil {
			return nil, err
		}
		return s, nil
	}
}

// listener accepts the streams of one name.
type listener struct {
	addr    streamAddr
	e       *Engine
	streams chan *Stream
	remove  func()
	once    sync.Once
	closed  chan struct{}
}

// Listen returns a listener for the streams of one name that peers open with OpenStream, for example for http.Serve.
// Set http.Server.ConnContext to find out whose stream it is: its net.Conn is a *Stream. Like HandleStream it panics if the
// name is taken or invalid. Accept returns a *Stream, or net.ErrClosed after Close or the end
// of the engine. Close frees the name and refuses streams that wait; accepted ones stay open.
func (e *Engine) Listen(name string) net.Listener {
	l := &listener{addr: streamAddr{e.Self().ID, name}, e: e, streams: make(chan *Stream), closed: make(chan struct{})}
	l.remove = e.streams.add(name, l.take)
	return l
}

// take waits until the stream is accepted. peers.MaxStreams limits how many streams of one peer wait.
func (l *listener) take(s *Stream) {
	select {
	case l.streams <- s:
		return
	case <-l.closed:
	case <-s.s.Done():
	}
	s.s.Abandon(wire.Unavailable)
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case s := <-l.streams:
		return s, nil
	case <-l.closed:
	case <-l.e.ended:
	}
	return nil, net.ErrClosed
}

func (l *listener) Close() error {
	l.once.Do(func() {
		l.remove()
		close(l.closed)
	})
	return nil
}

func (l *listener) Addr() net.Addr { return l.addr }

var _ net.Conn = (*Stream)(nil)
