package transfer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestHoles_SparseFileStaysSparse(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("holes are asked for on Linux here")
	}
	src, dst := filepath.Join(t.TempDir(), "disk.img"), t.TempDir()
	f, err := os.Create(src)
	if err != nil {
		t.Fatal(err)
	}
	const size = 10 << 30
	for _, at := range []int64{0, 1 << 30, 7<<30 + 12345} {
		if _, err := f.WriteAt([]byte(fmt.Sprintf("data at %d", at)), at); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Truncate(size); err != nil { // and a hole at its end
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sent, _, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if sendErr != nil || recvErr != nil {
		t.Fatal(sendErr, recvErr)
	}
	g, err := os.Open(filepath.Join(dst, "disk.img"))
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	info, _ := g.Stat()
	if info.Size() != size || !isSparse(info) || sent.Moved > 2<<20 {
		t.Errorf("%d bytes, sparse %v, %d moved", info.Size(), isSparse(info), sent.Moved)
	}
	for _, at := range []int64{0, 1 << 30, 7<<30 + 12345} {
		want := fmt.Sprintf("data at %d", at)
		b := make([]byte, len(want))
		_, _ = g.ReadAt(b, at)
		if string(b) != want {
			t.Errorf("%q at %d", b, at)
		}
	}
}

func TestLinks_OnlyOnRequest(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	src := filepath.Join(t.TempDir(), "src")
	write(t, filepath.Join(src, "d/file"), "content")
	for name, target := range map[string]string{"in": "d/file", "d/up": "../d/file", "self": "d", "out": "../other", "abs": "/etc/passwd", "d/far": "../../x", "loop": "loop"} {
		if err := os.Symlink(target, filepath.Join(src, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []bool{false, true} {
		dst := t.TempDir()
		_, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Links: want})
		if sendErr != nil || recvErr != nil {
			t.Fatal(sendErr, recvErr)
		}
		var links []string
		for p, v := range tree(t, dst) {
			if strings.HasPrefix(v, "->") {
				links = append(links, p+" "+v)
			}
		}
		slices.Sort(links)
		wantLinks, wantOut := []string(nil), int64(7)
		if want {
			wantLinks, wantOut = []string{"src/d/up -> ../d/file", "src/in -> d/file", "src/loop -> loop", "src/self -> d"}, 3
		}
		if !slices.Equal(links, wantLinks) || got.LeftOut != wantOut || got.Links != int64(len(wantLinks)) {
			t.Errorf("links %v: %q, left out %d, counted %d", want, links, got.LeftOut, got.Links)
		}
	}
}

// TestLinks_LeadingOutAreRefused: a receiver that accepts links refuses those that lead out of their folder.
func TestLinks_LeadingOutAreRefused(t *testing.T) {
	for _, target := range []string{"/etc", "..", "../..", "../../x", "../x", "a/../../..", "..\\x", "C:/x", "d/../../x", "x/../y", "../d/x/../y", "../d/a", "../../d", "x/y/../../..", "../x/../y", strings.Repeat("a/", 600)} {
		home := t.TempDir()
		inbox := filepath.Join(home, "inbox")
		if err := os.Mkdir(inbox, 0o755); err != nil {
			t.Fatal(err)
		}
		a, b := newPipe()
		hostileSend(a,
			putRecord(nil, recEntry, entry{kind: kindFolder, path: "d"}.encode("")),
			putRecord(nil, recEntry, entry{kind: kindLink, path: "d/l", target: target}.encode("d")),
			putRecord(nil, recEnd, Totals{Folders: 1, Links: 1}.encode()))
		_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: inbox, Links: true})
		a.Interrupt()
		if !errors.Is(err, ErrProtocol) {
			t.Errorf("%q: %v", target, err)
		}
		if left := tree(t, home); len(left) != 1 {
			t.Errorf("%q left %v", target, left)
		}
	}
}

// TestLinks_ClimbOnlyAtTheirStart: a name before ".." could be another link, so the text of the target would not show
// where it leads, even deep in a folder.
func TestLinks_ClimbOnlyAtTheirStart(t *testing.T) {
	for target, inside := range map[string]bool{"../x": true, "../../x": true, "x/../y": false, "../x/../y": false, "./x/./..": false} {
		if staysInside("d/e/f/l", target) != inside {
			t.Errorf("%q: inside %v", target, !inside)
		}
	}
}

func TestSource_UnreadableFileIsLeftOut(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	write(t, filepath.Join(src, "good"), "1")
	write(t, filepath.Join(src, "zlast"), "1")
	write(t, filepath.Join(src, "bad"), "2")
	// root can read every file, but not one that is removed between the walk and the opening
	gone := sync.OnceFunc(func() { _ = os.Remove(filepath.Join(src, "bad")) })
	limit := func(Totals) error { gone(); return nil }
	a, b := newPipe()
	var wg sync.WaitGroup
	var got Result
	var recvErr error
	wg.Go(func() {
		got, recvErr = Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Existing: SkipIdentical, Limit: limit})
	})
	_, err := Send(t.Context(), only(a), SendOptions{Paths: []string{src}})
	wg.Wait()
	if err != nil || recvErr != nil {
		t.Fatal(err, recvErr)
	}
	if got.Files != 2 || got.LeftOut != 1 || got.Notes[0].Path != "src/bad" || got.Notes[0].Err == nil {
		t.Errorf("%+v", got)
	}
}

// TestExisting_EachPolicy sends a tree that already exists, with each policy.
func TestExisting_EachPolicy(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 20 {
		random(t, filepath.Join(src, fmt.Sprintf("d%d/f%d", i%3, i)), 700_000, byte(i))
	}
	random(t, filepath.Join(src, "large"), 20<<20, 77)
	prepare := func(t *testing.T) string {
		dst := t.TempDir()
		if _, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); e1 != nil || e2 != nil {
			t.Fatal(e1, e2)
		}
		write(t, filepath.Join(dst, "src/mine"), "only here")
		return dst
	}
	t.Run("identical", func(t *testing.T) {
		for _, policy := range []Existing{SkipIdentical, Replace} {
			dst := prepare(t)
			before := tree(t, dst)
			sent, got, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, Existing: policy})
			if e1 != nil || e2 != nil {
				t.Fatal(e1, e2)
			}
			if sent.Moved+got.Moved > 1<<20 || got.Unchanged != 21 || !maps.Equal(tree(t, dst), before) {
				t.Errorf("policy %d: %d and %d bytes moved, %d unchanged", policy, sent.Moved, got.Moved, got.Unchanged)
			}
			t.Logf("policy %d: %d and %d bytes moved for %d", policy, sent.Moved, got.Moved, got.Bytes)
		}
	})
	t.Run("one changed", func(t *testing.T) {
		changed := filepath.Join(t.TempDir(), "src")
		if err := os.CopyFS(changed, os.DirFS(src)); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(filepath.Join(changed, "large"), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = f.WriteAt([]byte("changed here"), 9<<20)
		_ = f.Close()
		want, _ := os.ReadFile(filepath.Join(changed, "large"))
		old, _ := os.ReadFile(filepath.Join(src, "large"))
		for policy, names := range map[Existing][2]string{Replace: {"large", ""}, SkipIdentical: {"large (2)", "large"}} {
			dst := prepare(t)
			sent, got, e1, e2 := run(t, t.Context(), []string{changed}, ReceiveOptions{Dir: dst, Existing: policy})
			if e1 != nil || e2 != nil {
				t.Fatal(e1, e2)
			}
			if b, _ := os.ReadFile(filepath.Join(dst, "src", names[0])); string(b) != string(want) {
				t.Errorf("policy %d: %s is not the new one", policy, names[0])
			}
			if names[1] != "" {
				if b, _ := os.ReadFile(filepath.Join(dst, "src", names[1])); string(b) != string(old) {
					t.Errorf("policy %d: %s is not the old one", policy, names[1])
				}
			}
			if b, _ := os.ReadFile(filepath.Join(dst, "src/mine")); string(b) != "only here" {
				t.Error("what was only here is gone")
			}
			if got.Unchanged != 20 || sent.Moved > 3<<20 {
				t.Errorf("policy %d: %d unchanged, %d bytes moved", policy, got.Unchanged, sent.Moved)
			}
		}
	})
	t.Run("single files", func(t *testing.T) {
		dst, file := t.TempDir(), filepath.Join(t.TempDir(), "note.txt")
		write(t, file, "first")
		for _, step := range []struct {
			content string
			policy  Existing
			want    map[string]string
		}{
			{"first", KeepBoth, map[string]string{"note.txt": "first"}},
			{"first", SkipIdentical, map[string]string{"note.txt": "first"}},
			{"other", SkipIdentical, map[string]string{"note.txt": "first", "note (2).txt": "other"}},
			{"third", Replace, map[string]string{"note.txt": "third", "note (2).txt": "other"}},
			{"third", KeepBoth, map[string]string{"note.txt": "third", "note (2).txt": "other", "note (3).txt": "third"}},
		} {
			write(t, file, step.content)
			asked := ""
			_, got, e1, e2 := run(t, t.Context(), []string{file}, ReceiveOptions{Dir: dst, Choose: func(_ context.Context, name string) Existing { asked = name; return step.policy }})
			if e1 != nil || e2 != nil {
				t.Fatal(e1, e2)
			}
			found := map[string]string{}
			for p, v := range tree(t, dst) {
				_, found[p], _ = strings.Cut(v, " ")
			}
			if !maps.Equal(found, step.want) || asked == "" && len(step.want) > 1 {
				t.Errorf("%v: %v, asked for %q", step, found, asked)
			}
			if len(got.Saved) != 1 {
				t.Errorf("saved %q", got.Saved)
			}
		}
	})
}

// TestShared_SourceIsReadOnceForSeveralReceivers sends one source to several receivers. One of them takes nothing until
// the others have everything.
func TestShared_SourceIsReadOnceForSeveralReceivers(t *testing.T) {
	src := filepath.Join(t.TempDir(), "file")
	const size = 24 << 20
	random(t, src, size, 5)
	shared := &Shared{}
	var all, others sync.WaitGroup
	finished := make(chan struct{})
	for i := range 4 {
		dst := t.TempDir()
		a, b := newPipe()
		var lane Pipe = a
		sending := &others
		if i == 3 {
			lane = &testPipe{a.Reader, laterWriter{t, a, finished}, a.closeWrite, a.interrupt}
			sending = &all
		}
		sending.Go(func() {
			if _, err := Send(t.Context(), only(lane), SendOptions{Paths: []string{src}, Shared: shared}); err != nil {
				t.Error(err)
			}
		})
		all.Go(func() {
			if _, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst}); err != nil {
				t.Error(err)
			}
			if b, _ := os.ReadFile(filepath.Join(dst, "file")); len(b) != size {
				t.Errorf("%d bytes", len(b))
			}
		})
	}
	others.Wait()
	close(finished)
	all.Wait()
	if shared.BytesRead() != size {
		t.Errorf("%d bytes were read for four receivers of %d", shared.BytesRead(), size)
	}
}

// laterWriter writes nothing until others have finished.
type laterWriter struct {
	t        *testing.T
	to       io.Writer
	finished <-chan struct{}
}

func (w laterWriter) Write(b []byte) (int, error) {
	select {
	case <-w.finished:
	case <-time.After(time.Minute):
		w.t.Error("the receiver that takes nothing holds up the others")
	}
	return w.to.Write(b)
}

// TestSend_FirstBlockHasContent: content is in the first block, long before the walk is over.
func TestSend_FirstBlockHasContent(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	const files = 3000
	for i := range files {
		write(t, filepath.Join(src, fmt.Sprintf("%02d/%d", i%50, i)), strings.Repeat("x", 4096))
	}
	a, p := newPipe()
	done := make(chan error, 1)
	go func() { _, err := Send(t.Context(), only(p), SendOptions{Paths: []string{src}}); done <- err }()
	b := newBundle()
	b.attach(a)
	out := packer{to: b}
	if err := errors.Join(out.put(recGo, []byte{0}), out.flush()); err != nil {
		t.Fatal(err)
	}
	k, err := b.recv()
	if err != nil {
		t.Fatal(err)
	}
	entries, content := 0, 0
	in := records{k.body()}
	for {
		kind, _, ok, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			break
		}
		switch kind {
		case recEntry:
			entries++
		case recChunk:
			content++
		}
	}
	if content == 0 || entries > files/10 {
		t.Errorf("the first block holds %d entries and the content of %d", entries, content)
	}
	b.fail(errEnded)
	b.wait()
	if err := <-done; err == nil {
		t.Error("delivered to nobody")
	}
}
