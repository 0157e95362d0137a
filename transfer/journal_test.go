package transfer

import (
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
