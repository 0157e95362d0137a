package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestJournal_OfAMillionFilesTakesLittleMemory reads a journal of a million files.
func TestJournal_OfAMillionFilesTakesLittleMemory(t *testing.T) {
	p := filepath.Join(t.TempDir(), "j")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	j := journal{f: f}
	j.put(jourStart, []byte("k"))
	j.put(jourBoot, []byte("b"))
	n := 1_000_000
	if testing.Short() {
		n /= 5
	}
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
	if err != nil || len(h.order) != n || grown > int64(n)*300/1_000_000 {
		t.Errorf("%v, %d entries, %d MB", err, len(h.order), grown)
	}
	runtime.KeepAlive(h)
}

// TestJournal_RepeatedNotesDoNotGrow: a sender that changes its files and adds a note in each attempt cannot make the
// journal grow with the attempts.
func TestJournal_RepeatedNotesDoNotGrow(t *testing.T) {
	const files = 200
	dst := t.TempDir()
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Limit: atMost(Totals{Files: files, Folders: 1})}
	largest := int64(0)
	for n := range 60 {
		records := [][]byte{folderRecord("d")}
		for i := range files {
			e := entry{path: fmt.Sprintf("d/%d %s", i, strings.Repeat("n", 200)), stamp: uint64(n + 1)}
			records = append(records, putRecord(putRecord(putRecord(nil, recEntry, e.encode("")), recData, counts(int64(i), 0)), recFileEnd, []byte{reasonOf(ErrGrew)}))
		}
		if err := broken(t, opts, 0, files, bytes.Join(records, nil)); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		info, err := os.Stat(filepath.Join(dst, PartialDir, "x", journalName))
		if err != nil {
			t.Fatal(err)
		}
		largest = max(largest, info.Size())
	}
	if most := int64(1<<20 + 4*files*(210+entryRecords)); largest > most {
		t.Errorf("the journal took %d bytes, at most %d are expected", largest, most)
	}
}
