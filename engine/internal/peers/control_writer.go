package peers

import (
	"context"
	"sync"

	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// maxOut is how many frames may wait to be written. They pile up only if the peer does not read.
const maxOut = 1024

// maxDirect limits the bytes that queue writes before run writes again. The connection holds them until the peer makes
// room for them, and only a write of run, which waits for that, shows that it has.
const maxDirect = 16 << 10

// controlWriter writes the frames of a control stream in the order in which they are queued.
type controlWriter struct {
	stream *transport.Stream
	frames chan []byte

	mu      sync.Mutex
	running bool // run has started
	waiting int  // frames that run has not written yet
	direct  int  // bytes that queue has written since the last write of run
}

func newControlWriter(stream *transport.Stream) *controlWriter {
	return &controlWriter{stream: stream, frames: make(chan []byte, maxOut)}
}

// queue writes a frame, or leaves it to run if that would take time. It reports whether there was room. It does not
// wait, so callers may hold locks.
func (w *controlWriter) queue(frame []byte) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mayWriteLocked(frame) && w.stream.TryWriteFrame(frame) {
		w.direct += len(frame)
		return true
	}
	select {
	case w.frames <- frame:
		w.waiting++
		return true
	default:
		return false
	}
}

// mayWriteLocked reports whether queue may write a frame itself, which saves the time to wake run.
func (w *controlWriter) mayWriteLocked(frame []byte) bool {
	if w.direct+len(frame) > maxDirect { // guard: frames-direct
		return false
	}
	return w.running && w.waiting == 0
}

// run writes the frames that queue leaves to it, until the connection or ctx ends.
func (w *controlWriter) run(ctx context.Context, conn *transport.Conn) {
	w.mu.Lock()
	w.running = true
	w.mu.Unlock()
	for {
		select {
		case frame := <-w.frames:
			if err := w.stream.WriteFrame(frame); err != nil {
				conn.Close(wire.Timeout)
				return
			}
			w.written()
		case <-conn.Done():
			return
		case <-ctx.Done():
			return
		}
	}
}

func (w *controlWriter) written() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting--
	w.direct = 0
}
