package tasks

import (
	"context"
	"errors"
	"testing"
)

func TestGroup_StartsOnlyDuringTheRun(t *testing.T) {
	var g Group
	if g.Begun() || g.Running() || g.Start(func(context.Context) { t.Error("started before the run") }) {
		t.Error("a group runs before Begin")
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	g.Begin(ctx)
	prepared, began := false, make(chan struct{})
	if !g.Start(func(ctx context.Context) { close(began); <-ctx.Done() }, func(context.Context) { prepared = true }) || !prepared {
		t.Error("nothing was started during the run")
	}
	<-began
	own, stop := context.WithCancelCause(ctx)
	stop(errors.New("its own end"))
	child, done := context.WithCancel(ctx)
	defer done()
	if g.EndedBy(own) || g.EndedBy(child) {
		t.Error("a context has ended because of a run that lasts")
	}
	cancel(errors.New("the end"))
	g.Wait()
	if !g.EndedBy(child) || g.EndedBy(own) {
		t.Error("EndedBy does not distinguish the end of the run from the end of a task")
	}
	if !g.Begun() || g.Running() || g.Start(func(context.Context) { t.Error("started after the run") }) {
		t.Error("a group runs after the end")
	}
}
