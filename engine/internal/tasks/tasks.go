// Package tasks holds the goroutines of one run of an engine: Run waits for all of them before it returns.
package tasks

import (
	"context"
	"sync"
)

// Group starts goroutines while a run lasts. The zero value is a group whose run has not begun.
type Group struct {
	mu     sync.Mutex
	ctx    context.Context
	waited bool
	wg     sync.WaitGroup
}

// Begin begins the run, which lasts until ctx ends.
func (g *Group) Begin(ctx context.Context) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ctx = ctx
}

// Begun reports whether the run has begun; it may have ended since.
func (g *Group) Begun() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ctx != nil
}

// Running reports whether the run has begun and not ended.
func (g *Group) Running() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.runningLocked()
}

func (g *Group) runningLocked() bool { return g.ctx != nil && g.ctx.Err() == nil && !g.waited }

// Start calls prepare and then runs f on a goroutine, both with the context of the run. It returns false, and calls
// neither, if the run has not begun or has ended. Its lock is a leaf, except for locks that prepare takes.
func (g *Group) Start(f func(ctx context.Context), prepare ...func(ctx context.Context)) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.runningLocked() {
		return false
	}
	ctx := g.ctx
	for _, p := range prepare {
		p(ctx)
	}
	g.wg.Go(func() { f(ctx) })
	return true
}

// EndedBy reports whether ctx, which descends from the context of the run, has ended because the run has.
func (g *Group) EndedBy(ctx context.Context) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.ctx != nil && g.ctx.Err() != nil && context.Cause(ctx) == context.Cause(g.ctx)
}

// Wait waits until every goroutine has ended; from then on Start starts nothing.
func (g *Group) Wait() {
	g.mu.Lock()
	g.waited = true
	g.mu.Unlock()
	g.wg.Wait()
}
