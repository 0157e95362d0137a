package engine

import (
	"context"
	"crypto/subtle"
	"fmt"
	"net/netip"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// pipe is a lane's stream as package transfer wants it.
type pipe struct{ *transport.Stream }

// Interrupt ends both directions at once.
func (p pipe) Interrupt() { p.Reset(wire.Cancelled) }

// openLane gets the dedicated conn for a transfer. Whoever dialled the session dials the lane too, to the same
// address: that way is known to be open, whichever side sends.
func (e *Engine) openLane(ctx context.Context, t *transferState) (lane, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, laneTimeout, fmt.Errorf("opening a lane: %w", ErrTimeout))
	defer cancel()
	if t.link.conn.Dialled {
		return e.dialLane(ctx, t)
	}
	select {
	case ln := <-t.lane:
		return ln, nil
	case <-t.link.conn.Done():
		return lane{}, t.link.conn.Err()
	case <-ctx.Done():
		return lane{}, context.Cause(ctx)
	}
}

func (e *Engine) dialLane(ctx context.Context, t *transferState) (lane, error) {
	id := string(t.view.ID)
	token, err := t.link.conn.Token(id)
	if err != nil {
		return lane{}, fmt.Errorf("opening a lane: %w", err)
	}
	conn, err := e.endpoint.DialAny(ctx, []netip.AddrPort{t.link.conn.RemoteAddr()}, t.view.Peer, transport.Lane, transport.DialTimeout)
	if err != nil {
		return lane{}, fmt.Errorf("opening a lane: %w", err)
	}
	defer context.AfterFunc(ctx, func() { conn.Close(wire.Cancelled) })()
	stream, err := func() (*transport.Stream, error) {
		s, err := conn.OpenStream(ctx)
		if err != nil {
			return nil, err
		}
		if err := s.WriteMessage(wire.Lane{ID: id, Token: token}); err != nil {
			return nil, err
		}
		m, err := s.ReadMessage(wire.MaxHello)
		if err != nil {
			return nil, err
		}
		ack, ok := m.(wire.LaneAck)
		if !ok {
			return nil, wire.ErrProtocol
		}
		if ack.Code != wire.Bye {
			return nil, ack.Code.Err()
		}
		return s, nil
	}()
	if err != nil {
		conn.Close(wire.CodeOf(err))
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return lane{}, fmt.Errorf("opening a lane: %w", err)
	}
	return lane{conn, stream}, nil
}

// acceptLane takes a lane that the other side dialled: its key, its ID and its token must be those of a transfer
// that waits for one.
func (e *Engine) acceptLane(ctx context.Context, conn *transport.Conn) {
	ctx, cancel := context.WithTimeout(ctx, transport.HelloTimeout)
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close(wire.Timeout) })
	err := func() error {
		s, err := conn.AcceptStream(ctx)
		if err != nil {
			return err
		}
		m, err := s.ReadMessage(wire.MaxHello)
		if err != nil {
			return err
		}
		hello, ok := m.(wire.Lane)
		if !ok {
			return wire.ErrProtocol
		}
		t := e.expected(conn, hello)
		if t == nil {
			return wire.ErrUnknownOffer
		}
		if err := s.WriteMessage(wire.LaneAck{}); err != nil {
			return err
		}
		if !stop() {
			return wire.ErrTimeout
		}
		select {
		case t.lane <- lane{conn, s}:
			t.dropLane() // in case it has ended meanwhile
			return nil
		default:
			return wire.ErrDuplicate
		}
	}()
	stop()
	if err != nil {
		e.log.Debug("lane", "peer", conn.Peer.Short(), "err", err)
		conn.Close(wire.CodeOf(err))
	}
}

// expected finds where a lane goes; nil if no transfer waits for it.
func (e *Engine) expected(conn *transport.Conn, hello wire.Lane) *transferState {
	e.mu.Lock()
	defer e.mu.Unlock()
	t := e.transfers[TransferID(hello.ID)]
	if t == nil || t.view.Peer != conn.Peer || t.link.conn.Dialled {
		return nil
	}
	overtakes := !t.view.Incoming && t.view.State == Offered // the answer is still on its way, and this says as much
	if t.view.State != Moving && !overtakes {
		return nil
	}
	token, err := t.link.conn.Token(hello.ID)
	if err != nil || subtle.ConstantTimeCompare([]byte(token), []byte(hello.Token)) != 1 {
		return nil
	}
	if overtakes {
		e.accepted(t)
	}
	return t
}

// dropLane closes a lane that nobody took before the transfer ended.
func (t *transferState) dropLane() {
	select {
	case <-t.done:
	default:
		return
	}
	select {
	case ln := <-t.lane:
		ln.conn.Close(wire.Cancelled)
	default:
	}
}
