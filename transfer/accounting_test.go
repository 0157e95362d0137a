//go:build unix

package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestPublish_RefusedThenInterrupted: one top-level entry is refused, and a later one fails temporarily; the next
// attempt must not count the refused one as delivered.
func TestPublish_RefusedThenInterrupted(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	write(t, filepath.Join(src, "b"), "bbbb")
	paths := []string{filepath.Join(src, "a"), filepath.Join(src, "b")}
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1}
	recv.check = func(op, name string) error {
		switch {
		case (op == "link" || op == "move" || op == "rename") && name == "a":
			return syscall.EPERM
		case (op == "link" || op == "move" || op == "rename") && name == "b":
			return syscall.ENOSPC
		}
		return nil
	}
	sent, got, se, re := attempt(t, SendOptions{Paths: paths}, recv, 1<<40)
	t.Logf("1: %+v %v / %+v %v", sent, se, got, re)
	recv.check = nil
	recv.Resume = true
	sent, got, se, re = attempt(t, SendOptions{Paths: paths, Sent: sent.Sent}, recv, 1<<40)
	t.Logf("2: %+v %v / %+v %v", sent, se, got, re)
	if re != nil || got.Files != 1 || got.LeftOut != 1 || sent.LeftOut != 1 || len(visible(t, dst)) != 1 {
		t.Errorf("%v: receipt for %d files with %d left out, %d at the sender; there: %v", re, got.Files, got.LeftOut, sent.LeftOut, visible(t, dst))
	}
}

// All files are identical; an error occurs between the end and the done record of the journal.
func TestPublish_AllIdenticalThenInterrupted(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	write(t, filepath.Join(dst, "a"), "aaaa")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: SkipIdentical}
	recv.check = func(op, name string) error {
		if op == "fsync" && name == "inbox" {
			return syscall.ENOSPC
		}
		return nil
	}
	_, got, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "a")}}, recv, 1<<40)
	t.Logf("1: %v / %+v %v", se, got, re)
	recv.check = nil
	recv.Resume = true
	_, _, se, re = attempt(t, SendOptions{Paths: []string{filepath.Join(src, "a")}}, recv, 1<<40)
	if re != nil {
		t.Errorf("2: %v / %v violation=%v", se, re, Violation(re))
	}
}

// LeftOut of a folder that cannot be published.
func TestPublish_RefusedFolderCountsAll(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "d/1"), "aaaa")
	write(t, filepath.Join(src, "d/2"), "aaaa")
	write(t, filepath.Join(src, "d/3"), "aaaa")
	write(t, filepath.Join(src, "z"), "bbbb")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1}
	recv.check = func(op, name string) error {
		if (op == "link" || op == "move" || op == "rename") && name == "d" {
			return syscall.EPERM
		}
		return nil
	}
	sent, got, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "d"), filepath.Join(src, "z")}}, recv, 1<<40)
	if se != nil || re != nil {
		t.Fatal(se, re)
	}
	if sent.LeftOut != got.LeftOut {
		t.Errorf("left out: sender %d, receiver %d", sent.LeftOut, got.LeftOut)
	}
	recv.check = nil
	recv.Resume = true
	sent, got, se, re = attempt(t, SendOptions{Paths: []string{filepath.Join(src, "d"), filepath.Join(src, "z")}, Sent: sent.Sent}, recv, 1<<40)
	if se != nil || re != nil || sent.LeftOut != 4 || got.LeftOut != 4 || got.Files != 1 {
		t.Errorf("again: %+v %v / %+v %v", sent, se, got, re)
	}
}

// A note about a file of the first attempt.
func TestNotes_OfAnEarlierAttemptAreKept(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	_ = os.Chmod(filepath.Join(src, "a"), 0o755)
	random(t, filepath.Join(src, "b"), 30<<20, 1)
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, KeepExec: true}
	recv.check = func(op, name string) error {
		if op == "chmod" {
			return syscall.EPERM
		}
		return nil
	}
	_, _, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 20<<20)
	t.Logf("1: %v / %v", se, re)
	recv.Resume = true
	sent, got, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
	if se != nil || re != nil {
		t.Fatal(se, re)
	}
	if sent.Unkept != 1 || got.Unkept != 1 {
		t.Errorf("unkept: sender %d, receiver %d", sent.Unkept, got.Unkept)
	}
}

// A link in a folder that is merged into an existing one.
func TestMerge_NamesLinks(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	_ = os.Symlink("a", filepath.Join(src, "l"))
	write(t, filepath.Join(dst, "d/other"), "x")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Links: true, Existing: SkipIdentical}
	sent, got, se, re := attempt(t, SendOptions{Paths: []string{src}, Links: true}, recv, 1<<40)
	if se != nil || re != nil {
		t.Fatal(se, re)
	}
	_, err := os.Lstat(filepath.Join(dst, "d/l"))
	if err != nil && (got.Links != 0 || got.LeftOut == 0) {
		t.Errorf("the link is missing (%v), the receipt says: %+v; sender %+v", err, got, sent)
	}
}

// A folder is replaced by a link to another between listing and sending.
func TestSource_FolderBecomesLink(t *testing.T) {
	top, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	write(t, filepath.Join(top, "cur/f"), "1")
	write(t, filepath.Join(top, "next/f"), "2")
	l, err := NewListing([]string{top}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Fill(t.Context(), nil); err != nil {
		t.Fatal(err)
	}
	_ = os.RemoveAll(filepath.Join(top, "cur"))
	_ = os.Symlink("next", filepath.Join(top, "cur"))
	_, got, se, re := attempt(t, SendOptions{Listing: l}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1}, 1<<40)
	if se != nil || re != nil {
		t.Errorf("%v / %v violation=%v %+v", se, re, Violation(re), got)
	}
}

// The receiver's own file is truncated while the transfer compares with it.
func TestCompare_OldFileShrinks(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	random(t, src, 20<<20, 1)
	b, _ := os.ReadFile(src)
	b[0] ^= 1
	if err := os.WriteFile(filepath.Join(dst, "f"), b, 0o644); err != nil {
		t.Fatal(err)
	}
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: Replace}
	var once sync.Once
	recv.check = func(op, name string) error {
		if op == "write" && strings.HasSuffix(name, "f") {
			once.Do(func() { _ = os.Truncate(filepath.Join(dst, "f"), 100) })
		}
		return nil
	}
	_, _, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
	if Violation(re) {
		t.Errorf("%v / %v", se, re)
	}
}

// Files that cannot be completed while others wait to be compared.
func TestCompare_ContinuesAfterRefusals(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	for i := range 200 {
		p := filepath.Join(src, fmt.Sprintf("f%03d", i))
		write(t, p, "new")
		_ = os.Truncate(p, 1<<20) // ends in a hole
		write(t, filepath.Join(dst, "d", fmt.Sprintf("f%03d", i)), "old")
	}
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: Replace}
	recv.check = func(op, name string) error {
		if op == "truncate" {
			return syscall.EPERM
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, got, se, re := runWith(t, ctx, SendOptions{Paths: []string{src}}, recv)
	if errors.Is(re, context.DeadlineExceeded) || errors.Is(se, context.DeadlineExceeded) {
		t.Errorf("hangs: %v / %v; left out %d", se, re, got.LeftOut)
	}
}

// A receiver that requests the digests of each file and then reports that it has the file.
func TestCompare_HostileReceiverDoesNotHang(t *testing.T) {
	src := filepath.Join(t.TempDir(), "d")
	_ = os.MkdirAll(src, 0o755)
	for i := range 9000 {
		p := filepath.Join(src, fmt.Sprintf("f%05d", i))
		f, _ := os.Create(p)
		_ = f.Truncate(4 << 30)
		_ = f.Close()
	}
	a, p := newPipe()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { _, err := Send(ctx, only(p), SendOptions{Paths: []string{src}}); done <- err }()
	b := newBundle()
	b.attach(a)
	out := packer{to: b}
	_ = out.put(recGo, []byte{goAsk})
	_ = out.flush()
	n := int64(0)
	go func() {
		for {
			k, err := b.recv()
			if err != nil {
				return
			}
			in := records{k.body()}
			for {
				kind, body, ok, err := in.next()
				if err != nil || !ok {
					break
				}
				if kind == recEntry && body[0] == byte(kindFile) {
					_ = out.put(recWant, want{piece: 4 << 20, digests: true}.encode(n))
					_ = out.put(recWant, want{have: true}.encode(n))
					n++
				}
			}
			_ = out.flush()
			b.done(k)
		}
	}()
	time.Sleep(time.Second)
	cancel()
	select {
	case err := <-done:
		t.Log(err, n)
	case <-time.After(10 * time.Second):
		t.Errorf("Send does not return after its context has ended; %d files", n)
	}
	b.fail(errEnded)
}

// Notes are repeated by a later attempt.
func TestNotes_AreGivenAgain(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	write(t, filepath.Join(src, "p"), "aaaa")
	_ = os.Remove(filepath.Join(src, "p"))
	_ = syscall.Mkfifo(filepath.Join(src, "p"), 0o600)
	write(t, filepath.Join(dst, "d/a"), "other")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: SkipIdentical}
	s1, g1, se, re := attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
	if se != nil || re != nil {
		t.Fatal(se, re)
	}
	recv.Resume = true
	s2, g2, se, re := attempt(t, SendOptions{Paths: []string{src}, Sent: s1.Sent}, recv, 1<<40)
	if se != nil || re != nil {
		t.Fatal(se, re)
	}
	for _, x := range []struct {
		what string
		a, b Result
	}{{"sender", s1, s2}, {"receiver", g1, g2}} {
		if x.a.Renamed != x.b.Renamed || x.a.LeftOut != x.b.LeftOut || sortedNotes(x.a) != sortedNotes(x.b) {
			t.Errorf("%s: first %+v, again %+v", x.what, x.a, x.b)
		}
	}
}

// A file is refused while the sender waits for room in the window, and has changed in the meantime.
func TestRefused_FileThatHasChanged(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	big := filepath.Join(src, "big")
	random(t, big, 64*ChunkSize, 1)
	write(t, filepath.Join(src, "z"), "zzzz")
	a, b := newPipe()
	var once sync.Once
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, check: func(op, name string) error {
		if op == "write" && strings.HasSuffix(name, "big") {
			once.Do(func() {
				time.Sleep(500 * time.Millisecond) // the sender fills the window
				random(t, big, 64*ChunkSize, 2)
			})
			return syscall.EFBIG
		}
		return nil
	}}
	var sent, got Result
	var se, re error
	var wg sync.WaitGroup
	wg.Go(func() {
		sent, se = Send(t.Context(), only(slowTaken(a)), SendOptions{Paths: []string{big, filepath.Join(src, "z")}})
	})
	wg.Go(func() { got, re = Receive(t.Context(), only(b), recv) })
	wg.Wait()
	if se != nil || re != nil {
		t.Errorf("sender %v, receiver %v", se, re)
	}
	if sent.LeftOut != 1 || got.LeftOut != 1 || sent.Files != 1 || got.Files != 1 {
		t.Errorf("%+v / %+v", sent, got)
	}
}

// slowTaken delays the other side's acknowledgements, as a slow second lane does.
func slowTaken(p *testPipe) Pipe {
	r, w := io.Pipe()
	var mu sync.Mutex
	go func() {
		in := newFrameReader(p.Reader)
		for {
			k, taken, err := in.next()
			if err != nil {
				_ = w.CloseWithError(err)
				return
			}
			if k != nil {
				k.seal()
				mu.Lock()
				_, _ = w.Write(k.buf)
				mu.Unlock()
				continue
			}
			time.AfterFunc(400*time.Millisecond, func() {
				mu.Lock()
				defer mu.Unlock()
				_, _ = w.Write(binary.BigEndian.AppendUint64([]byte{frameTaken}, taken))
			})
		}
	}()
	q := *p
	q.Reader = r
	stop := p.interrupt
	q.interrupt = func() { stop(); _ = r.CloseWithError(errors.New("interrupted")) }
	return &q
}

// The sender could not read one entry, and the receiver could not store the other: each note has to name the right
// side.
func TestFailure_NamesTheRightSideWhenNothingArrives(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), "aaaa")
	write(t, filepath.Join(src, "hit"), "aaaa")
	l, err := NewListing([]string{filepath.Join(src, "a"), filepath.Join(src, "hit")}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, _ = l.Fill(t.Context(), nil)
	_ = os.Remove(filepath.Join(src, "a"))
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, check: func(op, name string) error {
		if op == "write" && strings.HasSuffix(name, "hit") {
			return syscall.EFBIG
		}
		return nil
	}}
	_, _, se, re := attempt(t, SendOptions{Listing: l}, recv, 1<<40)
	var f *Failure
	if errors.As(se, &f) && f.Remote && errors.Is(se, ErrVanished) {
		t.Errorf("sender: %v; receiver: %v", se, re)
	}
}

// One file of a merged folder cannot be published: the files published before it must stay.
func TestMerge_FailsHalfway(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for i := range 3 {
		write(t, filepath.Join(src, "d", fmt.Sprint(i)), "new")
		write(t, filepath.Join(dst, "d", fmt.Sprint(i)), "old")
	}
	write(t, filepath.Join(src, "z"), "zz")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: Replace, check: func(op, name string) error {
		if op == "rename" && name == "d/1" {
			return syscall.EPERM
		}
		return nil
	}}
	sent, got, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "d"), filepath.Join(src, "z")}}, recv, 1<<40)
	t.Logf("%+v %v / %+v %v", sent, se, got, re)
	there := visible(t, dst)
	if se != nil || re != nil || got.Files != 3 || got.LeftOut != 1 || sent.LeftOut != 1 || got.first.Path != "d/1" {
		t.Errorf("%v, %v: %+v / %+v", se, re, sent, got)
	}
	for p, want := range map[string]string{"d/0": "new", "d/1": "old", "d/2": "new", "z": "zz"} {
		if !strings.HasSuffix(there[p], " "+want) {
			t.Errorf("%s is %q, want %s", p, there[p], want)
		}
	}
}

// A folder is missing for a moment when its turn comes.
func TestSource_FolderAwayForAMoment(t *testing.T) {
	top, dst := filepath.Join(t.TempDir(), "top"), t.TempDir()
	write(t, filepath.Join(top, "a"), "1")
	write(t, filepath.Join(top, "d/f"), "2")
	l, _ := NewListing([]string{top}, ListOptions{})
	_, _ = l.Fill(t.Context(), nil)
	// as after EMFILE, EIO or a rename away and back: look fails once for d
	_ = os.Rename(filepath.Join(top, "d"), filepath.Join(top, "e"))
	s := &sender{ctx: t.Context(), b: newBundle(), opts: SendOptions{Listing: l}, announced: make(chan item, 10), dropped: map[int64]bool{}, ahead: map[int64]item{}, skipped: map[string]bool{}}
	s.out = packer{to: s.b}
	src := newSource(l.tops)
	defer src.close()
	var said []string
	_ = l.each(t.Context(), func(e listed) error {
		err := s.offer(src, e, true, false)
		said = append(said, fmt.Sprint(e.path, " sent=", s.sent.LeftOut == 0))
		if e.path == "top/d" {
			_ = os.Rename(filepath.Join(top, "e"), filepath.Join(top, "d"))
		}
		return err
	})
	if s.path == "top/d/f" {
		t.Errorf("top/d was skipped, and top/d/f announced: %v", said)
	}
	s.b.fail(errEnded)
	_ = dst
}

// Notes beyond the first 1000 when nothing arrives.
func TestNotes_BeyondTheLimitWhenNothingArrives(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	var paths []string
	for _, d := range []string{"d", "e"} {
		for i := range 600 {
			write(t, filepath.Join(src, d, fmt.Sprintf("a:%d", i)), "x")
		}
		paths = append(paths, filepath.Join(src, d))
	}
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, check: func(op, name string) error {
		if (op == "rename" || op == "move" || op == "link") && (name == "d" || name == "e") {
			return syscall.EPERM
		}
		return nil
	}}
	_, _, se, re := attempt(t, SendOptions{Paths: paths}, recv, 1<<40)
	if Violation(re) {
		t.Errorf("%v / %v", se, re)
	}
}

// A receipt before the end, for the race detector.
func TestSend_EarlyReceipt(t *testing.T) {
	src := filepath.Join(t.TempDir(), "d")
	for i := range 3000 {
		write(t, filepath.Join(src, fmt.Sprint(i)), "x")
	}
	for range 20 {
		a, p := newPipe()
		done := make(chan error, 1)
		go func() { _, err := Send(t.Context(), only(p), SendOptions{Paths: []string{src}}); done <- err }()
		b := newBundle()
		b.attach(a)
		out := packer{to: b}
		_ = out.put(recGo, []byte{0})
		_ = out.flush()
		time.Sleep(2 * time.Millisecond)
		_ = out.put(recReceipt, counts(0, 0), Totals{}.encode())
		_ = out.flush()
		time.Sleep(20 * time.Millisecond)
		b.fail(errEnded)
		b.wait()
		<-done
	}
}

// sortedNotes returns a result's notes on single entries, sorted.
func sortedNotes(r Result) string {
	var out []string
	for _, n := range r.Notes {
		out = append(out, fmt.Sprintf("%+v", n))
	}
	slices.Sort(out)
	return strings.Join(out, "; ")
}

// fds counts the descriptors of the process.
func fds() int { e, _ := os.ReadDir("/proc/self/fd"); return len(e) }

func TestCompare_LeaksNoDescriptors(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	for i := range 300 {
		write(t, filepath.Join(src, fmt.Sprint(i%7), fmt.Sprint(i)), "new")
		write(t, filepath.Join(dst, "d", fmt.Sprint(i%7), fmt.Sprint(i)), "old")
	}
	before := fds()
	for _, n := range []int64{5000, 9000, 12000, 1 << 40} {
		_, _, se, re := attempt(t, SendOptions{Paths: []string{src}}, ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: Replace}, n)
		t.Log(se, re, fds()-before)
	}
	time.Sleep(100 * time.Millisecond)
	if fds() != before {
		t.Error(fds(), before)
	}
}

// TestRefused_UnannouncedOrRepeatedFile: a receiver refuses an unannounced file, or the same file twice.
func TestRefused_UnannouncedOrRepeatedFile(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	random(t, src, 100, 1)
	for name, indexes := range map[string][]int64{"not announced": {7}, "twice": {0, 0}} {
		a, p := newPipe()
		done := make(chan error, 1)
		go func() { _, err := Send(t.Context(), only(p), SendOptions{Paths: []string{src}}); done <- err }()
		b := newBundle()
		b.attach(a)
		out := packer{to: b}
		_ = out.put(recGo, []byte{0})
		_ = out.flush()
		if _, err := b.recv(); err != nil { // the sender has announced the file
			t.Fatal(err)
		}
		for _, i := range indexes {
			_ = out.put(recRefused, encodeRefused(Totals{Files: 1, Bytes: 100}, i, ErrDisk, "f"))
		}
		_ = out.flush()
		if err := <-done; !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %v", name, err)
		}
		b.fail(errEnded)
		b.wait()
	}
}

// TestSource_OpensTheFileItself: if a link or a pipe replaces a file after it was last checked, it is not read.
func TestSource_OpensTheFileItself(t *testing.T) {
	for name, swap := range map[string]func(file string) error{
		"a link":   func(file string) error { return os.Symlink("other", file) },
		"a pipe":   func(file string) error { return syscall.Mkfifo(file, 0o600) },
		"a folder": func(file string) error { return os.Mkdir(file, 0o700) },
	} {
		home := t.TempDir()
		file := filepath.Join(home, "pub/album/key")
		write(t, file, "public")
		write(t, filepath.Join(home, "pub/album/other"), "secret")
		l, err := NewListing([]string{filepath.Join(home, "pub")}, ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Remove(file), swap(file)); err != nil {
			t.Fatal(err)
		}
		src := newSource(l.tops)
		f, _, err := src.open("pub/album/key", nil)
		if !errors.Is(err, ErrSpecial) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
		src.close()
	}
}

// TestListing_TotalIsLimited: sparse files can have sizes that add up to more than an int64. Such files are left out, by
// name, and do not change the totals of the others.
func TestListing_TotalIsLimited(t *testing.T) {
	dir := t.TempDir()
	l, err := NewListing([]string{dir}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int64{1<<63 - 1, 1 << 61, 1 << 61, 1, 1<<62 + 1, 0}
	for i, size := range sizes {
		l.add(item{entry: entry{path: fmt.Sprintf("d/%d", i), kind: kindFile, size: size}})
	}
	l.filled = true
	if s := l.summary; s.Bytes != 1<<62 || s.Files != 3 || s.LeftOut != 3 {
		t.Errorf("%+v", s)
	}
	var out []string
	for e, err := range l.Entries(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if errors.Is(e.Err, ErrTotal) {
			out = append(out, e.Path)
		}
	}
	if want := []string{"d/0", "d/3", "d/4"}; !slices.Equal(out, want) {
		t.Errorf("%v, want %v", out, want)
	}
}
