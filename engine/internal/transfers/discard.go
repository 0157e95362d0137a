package transfers

import (
	"context"

	"multipeer/transfer"
)

// discardLocked removes the received data of a transfer that was accepted before but is not wanted any more.
func (m *Manager) discardLocked(t *item) {
	dir, id := t.accept.Dir, t.view.ID
	if dir == "" || m.discarding[id] != nil {
		return
	}
	done := make(chan struct{})
	m.discarding[id] = done
	remove := func() {
		if err := transfer.Discard(dir, string(id)); err != nil {
			m.log.Warn("removing what had arrived", "err", err)
		}
	}
	started := m.tasks.Start(func(context.Context) {
		remove()
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.discarding, id)
		close(done)
	})
	if !started { // the engine is not running, so no goroutine would do it later
		remove()
		delete(m.discarding, id)
		close(done)
	}
}

// discarded waits until no data of an earlier transfer with the same ID is being removed any more.
func (m *Manager) discarded(ctx context.Context, id ID) error {
	m.mu.Lock()
	done := m.discarding[id]
	m.mu.Unlock()
	if done == nil {
		return nil
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
