package peers

import (
	"context"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// acceptLaneConn accepts a lane that arrived on the session's socket.
func (a *acceptor) acceptLaneConn(ctx context.Context, conn *transport.Conn, place *transport.Waiting) {
	m := a.m
	ctx, cancel := context.WithTimeout(ctx, place.Within(transport.HelloTimeout))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { conn.Close(wire.Timeout) })
	l, err := transport.AcceptLane(ctx, conn)
	if !stop() || err != nil {
		conn.Close(wire.CodeOf(err))
		return
	}
	m.transfers.AcceptLane(l, place)
}

// acceptLanes accepts lanes on their own sockets until ctx ends.
func (a *acceptor) acceptLanes(ctx context.Context, lanes *transport.Lanes) {
	m := a.m
	queues := newAcceptQueues()
	lanes.Serve(ctx, func(c *transport.Conn) {
		place := a.queueOf(queues, transport.Lane, c.Peer).Enter(c.Peer, c.RemoteAddr().Addr(), func() { c.Close(wire.Busy) })
		defer place.Leave()
		a.acceptLaneConn(ctx, c, place)
	}, func(l *transport.LaneConn) {
		place := a.queueOf(queues, transport.Lane, l.Peer).Enter(l.Peer, l.RemoteAddr().Addr(), l.Interrupt)
		defer place.Leave()
		m.transfers.AcceptLane(l, place)
	})
}
