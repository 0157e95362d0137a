package transfer

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestTinyBlocksTakeLittleMemory: a block takes the memory of a large one, however small it is.
func TestTinyBlocksTakeLittleMemory(t *testing.T) {
	a, b := tcpPipes(t)
	done := make(chan error, 1)
	go func() {
		_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: t.TempDir(), ID: "x"})
		done <- err
	}()
	go func() { _, _ = io.Copy(io.Discard, a) }()
	var buf []byte
	for i := range 8000 {
		buf = binary.BigEndian.AppendUint64(append(buf, frameBlock), uint64(i+1)) // never the next one
		buf = append(binary.BigEndian.AppendUint32(buf, 1), recFileEnd)
	}
	_, _ = a.Write(buf)
	if err := <-done; !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	a.Interrupt()
}

// TestFailedSyncIsNotOvercome: a sync that failed for want of room is not undone by room.
func TestFailedSyncIsNotOvercome(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 12 {
		random(t, filepath.Join(src, fmt.Sprintf("f%02d", i)), 4<<20, byte(i))
	}
	var failedSync, failedWrite atomic.Bool
	check := func(op, name string) error {
		if op == "fsync" && name == "files" {
			if !failedSync.Swap(true) {
				return syscall.ENOSPC
			}
		}
		if op == "write" && name != journalName && failedSync.Load() && !failedWrite.Swap(true) {
			time.Sleep(50 * time.Millisecond)
			return syscall.ENOSPC
		}
		return nil
	}
	_, got, serr, rerr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: t.TempDir(), ID: "x", check: check})
	if !failedSync.Load() || rerr == nil || serr == nil {
		t.Errorf("sync failed %v, write failed %v; sender %v, receiver %v, %+v", failedSync.Load(), failedWrite.Load(), serr, rerr, got.Totals)
	}
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
}

// TestWhatAnotherProgramWroteIsMadeDurable: files that were written, and not synced, by a program that was killed.
func TestWhatAnotherProgramWroteIsMadeDurable(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 5 {
		random(t, filepath.Join(src, fmt.Sprintf("f%02d", i)), 1<<20, byte(i))
	}
	dst, snap := t.TempDir(), filepath.Join(t.TempDir(), "snap")
	var calls atomic.Int64
	check := func(op, name string) error {
		if op == "fsync" && name == "files" && calls.Add(1) == 2 {
			copyTree(t, dst, snap) // all is written; this fsync has not run yet
		}
		return nil
	}
	if _, _, s, r := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", check: check}); s != nil || r != nil {
		t.Fatal(s, r)
	}
	var ops []string
	var mu sync.Mutex
	_, got, s, r := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: snap, ID: "x", Key: "k", Resume: true, check: func(op, name string) error {
		mu.Lock()
		defer mu.Unlock()
		if op == "fsync" {
			ops = append(ops, name)
		}
		return nil
	}})
	if s != nil || r != nil || got.Files != 5 {
		t.Fatal(s, r, got.Totals)
	}
	for _, o := range ops {
		if o == "files" {
			return
		}
	}
	t.Errorf("delivered, and made durable was only %q", ops)
}

// TestFolderBecomesFile: and what was in it is gone.
func TestFolderBecomesFile(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	random(t, filepath.Join(src, "a/x"), 300<<10, 1)
	random(t, filepath.Join(src, "b"), 6<<20, 2)
	_, _, _, r := attempt(t, SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dst, ID: "x", Key: "k"}, 3<<20)
	if r == nil {
		t.Fatal("was not cut")
	}
	_ = os.RemoveAll(filepath.Join(src, "a"))
	random(t, filepath.Join(src, "a"), 100<<10, 3)
	_, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", Resume: true})
	if e1 != nil || e2 != nil || !maps.Equal(visible(t, dst), tree(t, filepath.Dir(src))) {
		t.Error(e1, e2)
	}
}

// TestPowerCutWhilePublishing: the names are durable, what the journal says of them is not.
func TestPowerCutWhilePublishing(t *testing.T) {
	base, dst := t.TempDir(), t.TempDir()
	var paths []string
	for i := range 4 {
		p := filepath.Join(base, fmt.Sprintf("f%d", i))
		random(t, p, 1000, byte(i))
		paths = append(paths, p)
	}
	journal := filepath.Join(dst, PartialDir, "x", journalName)
	n := 0
	_, _, _, err := run(t, t.Context(), paths, ReceiveOptions{Dir: dst, ID: "x", Key: "k", check: func(op, _ string) error {
		if op == "link" {
			if n++; n == 3 {
				return errors.New("power cut")
			}
		}
		return nil
	}})
	if err == nil {
		t.Fatal("was not cut")
	}
	b, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	end := int64(0)
	_ = scan(bytes.NewReader(b), func(kind byte, _ []byte, at int64) bool {
		if kind == jourEnd {
			end = at
		}
		return true
	})
	if err := os.Truncate(journal, end); err != nil {
		t.Fatal(err)
	}
	got, ok, err := Recover(ReceiveOptions{Dir: dst, ID: "x", Key: "k"})
	if !ok || err != nil || len(got.Saved) != 4 || len(visible(t, dst)) != 4 {
		t.Errorf("%v, %v, saved %q, %d entries", ok, err, got.Saved, len(visible(t, dst)))
	}
}

// TestComparingHeedsItsContext cancels while a large file is digested.
func TestComparingHeedsItsContext(t *testing.T) {
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
	random(t, filepath.Join(src, "big"), 1<<20, 1)
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
	if rd > 3*time.Second || sd > 3*time.Second {
		t.Errorf("after the end of its context the sender took %v, the receiver %v", sd, rd)
	}
}

// TestJournalOfManyTakesLittleMemory reads one of a million files.
func TestJournalOfManyTakesLittleMemory(t *testing.T) {
	p := filepath.Join(t.TempDir(), "j")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := journal{f: f}
	j.put(jourStart, []byte("k"))
	j.put(jourBoot, []byte("b"))
	const n = 1_000_000
	for i := range n {
		path := fmt.Sprintf("photos/%s/%s-%07d.jpg", strings.Repeat("d", 40), strings.Repeat("f", 40), i)
		j.put(jourEntry, encodeHeld(entry{path: path, size: 10, modTime: time.Now()}, path))
		j.put(jourWhole)
		if len(j.buf) > 1<<20 {
			_, _ = f.Write(j.buf)
			j.buf = j.buf[:0]
		}
	}
	_, _ = f.Write(j.buf)
	j.buf = nil
	var m0, m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m0)
	_, _ = f.Seek(0, 0)
	h, err := readJournal(f, "k", "b")
	runtime.GC()
	runtime.ReadMemStats(&m)
	info, _ := f.Stat()
	grown := (int64(m.HeapAlloc) - int64(m0.HeapAlloc)) >> 20
	t.Logf("journal %d MB, %d entries, live heap +%d MB", info.Size()>>20, len(h.order), grown)
	if err != nil || len(h.order) != n || grown > 300 {
		t.Errorf("%v, %d entries, %d MB", err, len(h.order), grown)
	}
	runtime.KeepAlive(h)
}

// TestKeepsOfAByte: each of which must not cost the digest of a whole piece.
func TestKeepsOfAByte(t *testing.T) {
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
	if took := end.Sub(start); took > time.Second {
		t.Errorf("one block of 30 KB: Receive returned %v after its context ended", took)
	}
	b.fail(errEnded)
	b.wait()
}

// TestWantsOfNothingAreRefused: what a receiver wants of files that it was not told of.
func TestWantsOfNothingAreRefused(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	random(t, src, 100, 1)
	for name, ask := range map[string]byte{"asked": goAsk, "not asked": 0} {
		a, p := newPipe()
		done := make(chan error, 1)
		go func() { _, err := Send(t.Context(), only(p), SendOptions{Paths: []string{src}}); done <- err }()
		b := newBundle()
		b.attach(a)
		out := packer{to: b}
		_ = out.put(recGo, []byte{ask})
		_ = out.put(recWant, want{piece: minPiece, pieces: make([]pieceDigest, maxPieces)}.encode(10))
		_ = out.flush()
		if err := <-done; !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
		b.fail(errEnded)
		b.wait()
	}
}

// TestEndDoesNotWaitForALane: the end of one lane may wait behind a write that does not move.
func TestEndDoesNotWaitForALane(t *testing.T) {
	a, _ := newPipe()
	stuck := make(chan struct{})
	a.closeWrite = func() error { <-stuck; return nil } // as TLS does for 5 s behind a Write that does not move
	b := newBundle()
	b.attach(a)
	go b.close()
	time.Sleep(100 * time.Millisecond)
	got := make(chan struct{})
	go func() { b.fail(errEnded); close(got) }()
	select {
	case <-got:
	case <-time.After(time.Second):
		t.Error("it waits")
	}
	close(stuck)
	b.wait()
}
