package transfer

import (
	"context"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"multipeer/internal/testing/load"
)

// TestCompare_EndsWithItsContext cancels while a large file is digested.
func TestCompare_EndsWithItsContext(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	big := func(p string) {
		f, err := os.Create(p)
		if err != nil {
			t.Fatal(err)
		}
		_ = f.Truncate(24 << 30)
		_ = f.Close()
	}
	big(filepath.Join(dst, "big"))
	big(filepath.Join(src, "big"))
	ctx, cancel := context.WithCancel(t.Context())
	a, b := newPipe()
	var wg sync.WaitGroup
	var sd, rd time.Duration
	var start time.Time
	wg.Go(func() {
		_, _ = Send(ctx, only(a), SendOptions{Paths: []string{filepath.Join(src, "big")}})
		sd = time.Since(start)
	})
	wg.Go(func() {
		_, _ = Receive(ctx, only(b), ReceiveOptions{Dir: dst, ID: "x", Existing: Replace})
		rd = time.Since(start)
	})
	time.Sleep(300 * time.Millisecond)
	start = time.Now()
	cancel()
	wg.Wait()
	if load.Exceeds(max(rd, sd), 3*time.Second) {
		t.Errorf("after the end of its context the sender took %v, the receiver %v", sd, rd)
	}
}

// TestCompare_KeepsOfOneByteAreCheap: keep records of one byte must not each cost the digest of a whole piece.
func TestCompare_KeepsOfOneByteAreCheap(t *testing.T) {
	dst := t.TempDir()
	random(t, filepath.Join(dst, "big"), 64<<20, 1)
	a, p := newPipe()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan time.Time)
	go func() {
		_, _ = Receive(ctx, only(p), ReceiveOptions{Dir: dst, ID: "x", Existing: Replace})
		done <- time.Now()
	}()
	b := newBundle()
	b.attach(a)
	out := packer{to: b}
	k, _ := b.recv()
	b.done(k)
	_ = out.put(recEntry, entry{size: 64 << 20, path: "big", modTime: time.Now()}.encode(""))
	_ = out.flush()
	for {
		k, err := b.recv()
		if err != nil {
			t.Fatal(err)
		}
		in := records{k.body()}
		kind, _, _, _ := in.next()
		b.done(k)
		if kind == recWant {
			break
		}
	}
	_ = out.put(recData, counts(0, 0))
	for range 10000 {
		_ = out.put(recKeep, counts(1))
	}
	_ = out.flush()
	time.Sleep(300 * time.Millisecond)
	start := time.Now()
	cancel()
	end := <-done
	if took := end.Sub(start); load.Exceeds(took, time.Second) {
		t.Errorf("one block of 30 KB: Receive returned %v after its context ended", took)
	}
	b.fail(errEnded)
	b.wait()
}
