package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestDemoHasNoClockWhileItCompiles: on a slow machine, compiling takes longer than the demo is allowed to take.
func TestDemoHasNoClockWhileItCompiles(t *testing.T) {
	var out strings.Builder
	const within = 100 * time.Millisecond
	err := run(t.Context(), &out, func(ctx context.Context, cli string) error {
		if !strings.HasPrefix(out.String(), "Compiling") {
			t.Error("it does not say what it does")
		}
		time.Sleep(3 * within)
		if _, ends := ctx.Deadline(); ends || ctx.Err() != nil {
			t.Errorf("the compiling is timed: %v", ctx.Err())
		}
		return os.WriteFile(cli, []byte("no program"), 0o600)
	}, within)
	if err == nil || errors.Is(err, context.DeadlineExceeded) { // the compiled file cannot be run
		t.Error(err)
	}
}

// TestDemoLeavesNothingBehind: the demo removes its files, even when it fails.
func TestDemoLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	t.Setenv("TMP", dir)
	want := errors.New("no compiler")
	if err := run(t.Context(), new(strings.Builder), func(context.Context, string) error { return want }, time.Minute); !errors.Is(err, want) {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) > 0 {
		t.Error(left)
	}
}
