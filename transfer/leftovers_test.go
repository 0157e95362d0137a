package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// atMost returns a limit.
func atMost(most Totals) func(Totals) error {
	return func(t Totals) error {
		if t.Files > most.Files || t.Folders > most.Folders || t.Bytes > most.Bytes {
			return ErrTooMuch
		}
		return nil
	}
}

// broken runs an attempt of a sender that announces whatever it likes, and ends it once the given bytes and files have
// arrived.
func broken(t *testing.T, opts ReceiveOptions, size, files int64, records ...[]byte) error {
	t.Helper()
	a, b := newPipe()
	opts.OnProgress = func(p Progress) {
		if p.Bytes == size && p.Files == files {
			a.Interrupt()
		}
	}
	hostileSend(a, records...)
	_, err := Receive(t.Context(), only(b), opts)
	a.Interrupt()
	return err
}

func folderRecord(path string) []byte {
	return putRecord(nil, recEntry, entry{path: path, kind: kindFolder}.encode(""))
}

// stagedBytes returns the number of bytes and files that are staged in a receiving folder.
func stagedBytes(t *testing.T, dir string) (n, files int64) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n, files = n+info.Size(), files+1
			}
		}
		return nil
	})
	return n, files
}

// TestLeftovers_CountAgainstTheLimit: each attempt announces other names and breaks off. The data of an earlier attempt
// does not stay in addition, whether or not the journal records how much it is.
func TestLeftovers_CountAgainstTheLimit(t *testing.T) {
	const each = 300 << 10
	for name, unmarked := range map[string]bool{"whole": false, "under way": true} {
		dst := t.TempDir()
		opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: atMost(Totals{Files: 1, Folders: 2, Bytes: each + 1})}
		for n := range 4 {
			file := fmt.Sprintf("d/%d", n)
			records := [][]byte{append(folderRecord("d"), folderRecord(fmt.Sprintf("d/sub%d", n))...)}
			records = append(records, append(putRecord(nil, recEntry, entry{path: file, size: each + 1}.encode("")), putRecord(nil, recData, counts(0, 0))...))
			size, files := int64(each), int64(0)
			for off := int64(0); off < each; off += 100 << 10 {
				records = append(records, chunkRecord(off, strings.Repeat("x", 100<<10)))
			}
			if unmarked { // after a hole, the journal does not record how much there is
				records[len(records)-1] = append(records[len(records)-1], putRecord(nil, recHole, counts(1))...)
				size++
			} else {
				records = append(records, append(chunkRecord(each, "x"), putRecord(nil, recFileEnd)...))
				size, files = size+1, 1
			}
			if err := broken(t, opts, size, files, records...); !errors.Is(err, ErrInterrupted) {
				t.Fatalf("%s: attempt %d: %v", name, n, err)
			}
			if got, files := stagedBytes(t, dst); got > each+4<<10 || files > 2 { // with the journal
				t.Errorf("%s: %d bytes in %d files are left after attempt %d", name, got, files, n)
			}
			list, _ := os.ReadDir(filepath.Join(dst, PartialDir, "x", dataDir, "d"))
			if len(list) > 2 {
				t.Errorf("%s: %d entries in the folder after attempt %d", name, len(list), n)
			}
		}
	}
}

// TestLeftovers_AnotherOrderKeepsAll: an unchanged source always has room for all of its data.
func TestLeftovers_AnotherOrderKeepsAll(t *testing.T) {
	dst := t.TempDir()
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: atMost(Totals{Files: 3, Folders: 1, Bytes: 21})}
	at := time.Unix(1e9, 0)
	announce := func(b []byte, name string) []byte {
		return putRecord(b, recEntry, entry{path: "d/" + name, size: 7, modTime: at}.encode(""))
	}
	records := folderRecord("d")
	for i, name := range []string{"a", "b", "c"} {
		records = append(putRecord(announce(records, name), recData, counts(int64(i), 0)), chunkRecord(0, "payload")...)
		records = putRecord(records, recFileEnd)
	}
	if err := broken(t, opts, 21, 3, records); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	a, b := newPipe()
	hostileSend(a, announce(announce(announce(folderRecord("d"), "c"), "b"), "a"), endRecord(3, 1, 21)) // and no content
	if _, err := Receive(t.Context(), only(b), opts); err != nil {
		t.Errorf("received data is missing: %v", err)
	}
	a.Interrupt()
}

// TestLeftovers_OnlyTheExcessIsRemoved: if a file was renamed in between, the old data is removed; the other files
// stay.
func TestLeftovers_OnlyTheExcessIsRemoved(t *testing.T) {
	dst := t.TempDir()
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: atMost(Totals{Files: 3, Folders: 1, Bytes: 21})}
	at := time.Unix(1e9, 0)
	announce := func(b []byte, name string) []byte {
		return putRecord(b, recEntry, entry{path: "d/" + name, size: 7, modTime: at}.encode(""))
	}
	content := func(b []byte, i int64) []byte {
		return putRecord(append(putRecord(b, recData, counts(i, 0)), chunkRecord(0, "payload")...), recFileEnd)
	}
	records := folderRecord("d")
	for i, name := range []string{"b", "c", "d"} {
		records = content(announce(records, name), int64(i))
	}
	if err := broken(t, opts, 21, 3, records); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	a, b := newPipe()
	hostileSend(a, announce(announce(content(announce(folderRecord("d"), "a"), 0), "c"), "d"), endRecord(3, 1, 21))
	if _, err := Receive(t.Context(), only(b), opts); err != nil {
		t.Errorf("received data is missing: %v", err)
	}
	a.Interrupt()
	if got := visible(t, dst); len(got) != 4 || got["d/b"] != "" {
		t.Errorf("there: %v", got)
	}
}

// TestJournal_DoesNotGrowWithAttempts: the attempts announce other names and break off.
func TestJournal_DoesNotGrowWithAttempts(t *testing.T) {
	const files = 1000
	dst := t.TempDir()
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: atMost(Totals{Files: files, Folders: 1})}
	largest := int64(0)
	for n := range 9 {
		records := [][]byte{folderRecord("d")}
		for i := range files {
			name := fmt.Sprintf("%d %d %s", n, i, strings.Repeat("n", 200))
			records = append(records, putRecord(putRecord(putRecord(nil, recEntry, entry{path: "d/" + name}.encode("")), recData, counts(int64(i), 0)), recFileEnd))
		}
		if err := broken(t, opts, 0, files, bytes.Join(records, nil)); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		if info, err := os.Stat(filepath.Join(dst, PartialDir, "x", journalName)); err == nil {
			largest = max(largest, info.Size())
		}
	}
	t.Logf("the journal had %d bytes", largest)
	if one := int64(files * (2*200 + 2*entryRecords)); largest > journalSlack+3*one {
		t.Errorf("the journal had %d bytes, where an attempt takes %d", largest, one)
	}
}

// TestJournal_ByteByByteStaysSmall: the records of how much of a file is verified do not take more space than the file.
func TestJournal_ByteByByteStaysSmall(t *testing.T) {
	r := receiver{stage: &stage{}, cur: &incoming{entry: entry{path: "f", size: 1 << 20}, saved: "f", marked: -1}}
	for r.cur.pos < 100_000 {
		r.mark(false)
		r.cur.pos++
		r.cur.tail = &tail{n: 1}
	}
	if n := len(r.stage.journal.buf); n > 200 {
		t.Errorf("%d bytes of journal for %d", n, r.cur.pos)
	}
	r.mark(true)
	if r.cur.marked != r.cur.pos {
		t.Errorf("it does not continue where it broke off: %d of %d", r.cur.marked, r.cur.pos)
	}
}

// TestJournal_SurvivesItsRewriting: a journal that is mostly about removed data is rewritten. Whichever operation fails
// on the way, what had arrived is not sent again, and everything arrives.
func TestJournal_SurvivesItsRewriting(t *testing.T) {
	t.Parallel()
	src := mixed(t, 2, 30)
	want := tree(t, filepath.Dir(src))
	rewritten := false
	for n := 1; ; n++ {
		dst := t.TempDir()
		recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", boot: "one run"}
		if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 7<<20); err == nil {
			t.Fatal("was not cut")
		}
		at := filepath.Join(dst, PartialDir, "x", journalName)
		var gone journal
		for i := range 3000 {
			p := fmt.Sprintf("src/gone/%d%s", i, strings.Repeat("x", 200))
			gone.put(jourEntry, encodeHeld(entry{path: p, kind: kindFolder}, p))
			gone.put(jourGone, []byte(p))
		}
		f, err := os.OpenFile(at, os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(gone.buf); err != nil {
			t.Fatal(err)
		}
		_ = f.Close()
		count, failed, over := 0, "", false // until the journal has its new name, only one goroutine runs
		recv.check = func(op, name string) error {
			if over {
				return nil
			}
			over = op == "rename" && name == newJournal
			rewritten = rewritten || over
			if count++; count == n {
				over, failed = true, op+" "+name
				return &fs.PathError{Op: op, Path: name, Err: syscall.EIO}
			}
			return nil
		}
		recv.Resume = true
		moved := int64(0)
		var sent Result
		for range 2 { // the first one may fail
			sent, _, _, err = attempt(t, SendOptions{Paths: []string{src}, Sent: sent.Sent}, recv, 1<<40)
			if moved += sent.Moved; err == nil {
				break
			}
		}
		if err != nil {
			t.Fatalf("operation %d, %s: %v", n, failed, err)
		}
		if got := visible(t, dst); !maps.Equal(got, want) {
			t.Errorf("operation %d, %s: %d of %d entries", n, failed, len(got), len(want))
		}
		if moved > 5<<20 {
			t.Errorf("operation %d, %s: %d bytes were sent again", n, failed, moved)
		}
		if failed == "" {
			break
		}
		t.Logf("operation %d: %s", n, failed)
	}
	if !rewritten {
		t.Error("the journal was not written again")
	}
}

// TestLeftovers_AreKeptWhenTheUserIsAskedAgain checks that what has arrived is kept when the source has grown by more
// than the margin: the answer may be yes.
func TestLeftovers_AreKeptWhenTheUserIsAskedAgain(t *testing.T) {
	src := filepath.Join(t.TempDir(), "src")
	for i := range 100 {
		random(t, filepath.Join(src, fmt.Sprintf("f%03d", i)), 100_000, byte(i))
	}
	more := fmt.Errorf("%w: more", ErrInterrupted)
	limit := func(c Totals) error {
		if c.Files > 108 || c.Bytes > 100*100_000+1<<20 {
			return more
		}
		return nil
	}
	dst := t.TempDir()
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: limit}
	if _, _, _, err := attempt(t, SendOptions{Paths: []string{src}}, recv, 9_950_000); err == nil {
		t.Fatal("was not cut")
	}
	staged := func() (n int64) {
		for _, v := range tree(t, filepath.Join(dst, PartialDir, "x", "data")) {
			n += int64(len(v))
		}
		return n
	}
	before := staged()
	for i := range 12 {
		random(t, filepath.Join(src, fmt.Sprintf("a%03d", i)), 1000, byte(i))
	}
	_, _, _, _ = attempt(t, SendOptions{Paths: []string{src}}, recv, 1<<40)
	if now := staged(); before < 8_000_000 || now < before {
		t.Errorf("%d bytes were there, and %d are left", before, now)
	}
}
