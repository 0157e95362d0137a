package transport

import (
	"context"
	"errors"
	"fmt"
	"time"

	"multipeer/engine/internal/wire"
)

// Greet is the dialler's half of the greeting: it opens the control stream, sends hello and waits for the other side's
// hello. When it returns, the connection is up; on an error it is closed.
func (c *Conn) Greet(ctx context.Context, hello wire.Hello, wait time.Duration) (*Stream, wire.Hello, error) {
	s, theirs, err := c.greet(ctx, hello, wait)
	if err != nil {
		if closed := c.Err(); closed != nil {
			err = closed
		}
		c.Close(wire.CodeOf(err))
		return nil, wire.Hello{}, fmt.Errorf("greeting: %w", err)
	}
	return s, theirs, nil
}

// within runs a step of the greeting, and closes the connection if ctx or wait ends first, because a stream's reads
// take no context. A step that succeeds at the same moment counts as failed, since the connection is closed.
func (c *Conn) within(ctx context.Context, wait time.Duration, step func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if errors.Is(ctx.Err(), context.Canceled) {
			c.Close(wire.Superseded) // the other side's connection came first, or the engine ends
			return
		}
		c.Close(wire.Timeout)
	})
	err := step(ctx)
	if !stop() && err == nil {
		return wire.ErrTimeout
	}
	return err
}

func (c *Conn) greet(ctx context.Context, hello wire.Hello, wait time.Duration) (s *Stream, theirs wire.Hello, err error) {
	err = c.within(ctx, wait, func(ctx context.Context) error {
		s, theirs, err = c.exchangeHello(ctx, hello)
		return err
	})
	return s, theirs, err
}

func (c *Conn) exchangeHello(ctx context.Context, hello wire.Hello) (*Stream, wire.Hello, error) {
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, wire.Hello{}, err
	}
	if err := s.WriteMessage(hello); err != nil {
		return nil, wire.Hello{}, err
	}
	m, err := s.ReadMessage(wire.MaxHello)
	if err != nil {
		return nil, wire.Hello{}, err
	}
	ack, ok := m.(wire.HelloAck)
	if !ok {
		return nil, wire.Hello{}, wire.ErrProtocol
	}
	if err := c.checkHello(wire.Hello(ack)); err != nil {
		return nil, wire.Hello{}, err
	}
	if !wire.SameService(hello.Service, ack.Service) { // guard: dialled-service
		return nil, wire.Hello{}, wire.ErrUnavailable
	}
	return s, wire.Hello(ack), nil
}

// AwaitHello performs the first half of the handshake on the accepting side: it accepts the control stream and waits
// for the dialler's hello, for at most wait. The connection is not up yet; Acknowledge or Close must follow. On an
// error, the connection is closed.
func (c *Conn) AwaitHello(ctx context.Context, wait time.Duration) (*Stream, wire.Hello, error) {
	s, hello, err := c.awaitHello(ctx, wait)
	if err != nil {
		c.Close(wire.CodeOf(err))
		return nil, wire.Hello{}, fmt.Errorf("greeting: %w", err)
	}
	return s, hello, nil
}

func (c *Conn) awaitHello(ctx context.Context, wait time.Duration) (s *Stream, hello wire.Hello, err error) {
	err = c.within(ctx, wait, func(ctx context.Context) error {
		s, hello, err = c.readHello(ctx)
		return err
	})
	return s, hello, err
}

func (c *Conn) readHello(ctx context.Context) (*Stream, wire.Hello, error) {
	s, err := c.AcceptStream(ctx)
	if err != nil {
		return nil, wire.Hello{}, err
	}
	stop := c.refuseStreams(ctx)
	m, err := s.ReadMessage(wire.MaxHello)
	stop()
	if err != nil {
		return nil, wire.Hello{}, err
	}
	hello, ok := m.(wire.Hello)
	if !ok {
		return nil, wire.Hello{}, wire.ErrProtocol
	}
	return s, hello, c.checkHello(hello)
}

// refuseStreams closes the connection if the other side opens another stream: before a hello, and on a lane. Each stream
// may fill its window, and quic-go needs many times as much memory for small frames. The caller must call stop, and may
// then accept streams.
func (c *Conn) refuseStreams(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := c.AcceptStream(ctx); err == nil { // guard: streams-before-hello
			c.Close(wire.Protocol)
		}
	}()
	return func() { cancel(); <-done }
}

// ackTimeout is how long the other side may take to accept our hello. It fits into every window, and until then no one
// limits the streams that the other side opens.
const ackTimeout = time.Second

// Acknowledge is the second half: it sends our hello, after which the connection is up.
func (c *Conn) Acknowledge(s *Stream, hello wire.Hello) error {
	frame, err := wire.Frame(wire.HelloAck(hello))
	if err == nil {
		err = s.writeWithin(frame, ackTimeout)
	}
	if err != nil {
		c.Close(wire.CodeOf(err))
		return fmt.Errorf("greeting: %w", err)
	}
	return nil
}

// AwaitAnswer follows Acknowledge if the connection is to replace another one: it waits, for at most wait, until the
// dialler shows that it still has the connection. A dialler that has given up reports that, but the packet may be lost,
// and its hello may be read much later. On an error the connection is closed.
func (c *Conn) AwaitAnswer(ctx context.Context, s *Stream, wait time.Duration) error {
	err := c.within(ctx, wait, func(context.Context) error {
		if err := s.WriteMessage(wire.Ping{}); err != nil { // no request has the number 0, so its answer is ignored later
			return err
		}
		return s.awaitData()
	})
	if err != nil {
		c.Close(wire.CodeOf(err))
		return fmt.Errorf("greeting: %w", err)
	}
	return nil
}

// checkHello compares what the peer claims with the key that it has proven.
func (c *Conn) checkHello(h wire.Hello) error {
	if h.ID != c.Peer.String() { // guard: claimed-id
		return wire.ErrIdentity
	}
	if h.Version != wire.Version1 { // guard: version
		return wire.ErrVersion
	}
	return nil
}
