package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestPath_StructureIsChecked: paths that no honest sender sends are rejected before any file system call.
func TestPath_StructureIsChecked(t *testing.T) {
	for _, bad := range []string{
		"", "..", ".", "/", "a/..", "a/../b", "./a", "a//b", "a/", "/a", "a\x00b",
		strings.Repeat("x", MaxPath+1), strings.Repeat("d/", MaxDepth) + "x",
	} {
		if parts, err := splitPath(bad); !errors.Is(err, ErrBadName) {
			t.Errorf("%.40q is %q, %v", bad, parts, err)
		}
	}
	for _, good := range []string{"a", "a/b", "..a", "a..", "a b/c", strings.Repeat("x", MaxPath), strings.Repeat("d/", MaxDepth-1) + "x", "CD:", "\xff", "\\a", "a\\b", "C:"} {
		if _, err := splitPath(good); err != nil {
			t.Errorf("%.40q: %v", good, err)
		}
	}
}

// TestRecord_SizeIsLimited: a record must end in its block and respect its size limit, whatever its length field says.
func TestRecord_SizeIsLimited(t *testing.T) {
	for name, b := range map[string][]byte{
		"longer than its block": {recEntry, 5, 1, 2},
		"length without end":    append([]byte{recEntry}, bytes.Repeat([]byte{0xff}, 20)...),
		"no length":             {recEntry},
		"an entry too large":    putRecord(nil, recEntry, make([]byte, maxSmall+1)),
		"a chunk too large":     putRecord(nil, recChunk, make([]byte, maxChunk+1)),
	} {
		r := records{b}
		if kind, body, ok, err := r.next(); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %q of %d bytes, %v, %v", name, kind, len(body), ok, err)
		}
	}
	r := records{putRecord(nil, recChunk, make([]byte, maxChunk))}
	if _, _, ok, err := r.next(); !ok || err != nil {
		t.Errorf("a full chunk: %v", err)
	}
}

// TestManifest_EntriesAndPathsAreLimited: the number of entries, the total size of paths, and the number of files
// without content are limited.
func TestManifest_EntriesAndPathsAreLimited(t *testing.T) {
	p := newPlan()
	for i := range uint64(MaxEntries) { // as if they had been added
		p.listed[i] = struct{}{}
	}
	if _, err := p.add("one more", false, ""); !errors.Is(err, ErrTooMany) {
		t.Errorf("entry %d: %v", MaxEntries+1, err)
	}
	r := receiver{paths: maxPathBytes - 3}
	if err := r.admit(entry{path: "abc"}); err != nil {
		t.Error(err)
	}
	if err := r.admit(entry{path: "d"}); !errors.Is(err, ErrTooMany) {
		t.Errorf("more than %d bytes of paths: %v", maxPathBytes, err)
	}
	var b []byte
	for i := range 3 * announced {
		b = putRecord(b, recEntry, entry{path: fmt.Sprintf("%08x", i), size: 1}.encode("")) // no two share a useful prefix
	}
	a, c := newPipe()
	hostileSend(a, b)
	if _, err := Receive(t.Context(), only(c), ReceiveOptions{Dir: t.TempDir()}); !errors.Is(err, ErrProtocol) {
		t.Errorf("files without content: %v", err)
	}
	a.Interrupt()
}

// TestManifest_ManipulatedOnesDoNoHarm sends a good manifest with each of its records left out, doubled, swapped, cut
// and changed, and with bad ones inserted at each place. In every case: nothing is written outside the folder, no
// existing file is changed, nothing partial gets a final name, and the error names the problem.
func TestManifest_ManipulatedOnesDoNoHarm(t *testing.T) {
	good := [][]byte{
		putRecord(nil, recEntry, entry{kind: kindFolder, path: "d"}.encode("")),
		putRecord(nil, recEntry, entry{path: "d/a", size: 7}.encode("d")),
		putRecord(nil, recEntry, entry{kind: kindFolder, path: "d/e"}.encode("d/a")),
		putRecord(nil, recEntry, entry{path: "d/e/b", size: 14}.encode("d/e")),
		putRecord(nil, recData, counts(0, 0)), chunkRecord(0, "payload"), putRecord(nil, recFileEnd),
		putRecord(nil, recData, counts(1, 0)), chunkRecord(0, "payload"), chunkRecord(7, "PAYLOAD"), putRecord(nil, recFileEnd),
		endRecord(2, 2, 21),
	}
	bad := [][]byte{
		putRecord(nil, recEntry, entry{path: "../x", size: 7}.encode("")), putRecord(nil, recEntry, entry{path: "victim.txt/x", size: 7}.encode("")),
		putRecord(nil, recEntry, entry{kind: kindLink, path: "l", target: "../outside"}.encode("")), putRecord(nil, recEntry, entry{path: "d/a", size: 1 << 62}.encode("")),
		putRecord(nil, recHole, counts(1<<40)), putRecord(nil, recDropped, counts(0), []byte{1}), endRecord(9, 9, 9), putRecord(nil, 'q'),
	}
	var cases [][]byte
	add := func(r ...[]byte) { cases = append(cases, bytes.Join(r, nil)) }
	for i := range good {
		add(slices.Concat(good[:i], good[i+1:])...)                                                     // left out
		add(slices.Concat(good[:i+1], good[i:])...)                                                     // doubled
		add(append(slices.Clone(good[:i]), good[i][:len(good[i])-1])...)                                // cut
		add(slices.Concat(good[:i], [][]byte{flipped(good[i], 1)}, good[i+1:])...)                      // another length
		add(slices.Concat(good[:i], [][]byte{flipped(good[i], len(good[i])-1)}, good[i+1:])...)         // another last byte
		add(slices.Concat(good[:i], [][]byte{flipped(good[i], min(2, len(good[i])-1))}, good[i+1:])...) // another first byte
		if i > 0 {
			swapped := slices.Clone(good)
			swapped[i-1], swapped[i] = swapped[i], swapped[i-1]
			add(swapped...)
		}
		for _, b := range bad {
			add(slices.Concat(good[:i], [][]byte{b}, good[i:])...)
		}
	}
	if len(cases) < 100 {
		t.Fatalf("%d manifests", len(cases))
	}
	refused := 0
	for i, stream := range cases {
		home := t.TempDir()
		inbox := filepath.Join(home, "inbox")
		write(t, filepath.Join(home, "outside/secret"), "secret")
		write(t, filepath.Join(inbox, "victim.txt"), "victim")
		write(t, filepath.Join(inbox, "d/a"), "victim")
		before := tree(t, home)
		a, b := newPipe()
		hostileSend(a, stream)
		_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: inbox, ID: "x", Names: []string{"d"}})
		a.Interrupt()
		after := tree(t, home)
		maps.DeleteFunc(before, func(p, _ string) bool { return p == "inbox" })
		for p, v := range before {
			if after[p] != v {
				t.Errorf("manifest %d changed %s", i, p)
			}
		}
		for p := range after {
			_, old := before[p]
			switch rel, inside := strings.CutPrefix(p, "inbox/"); {
			case old || p == "inbox", inside && strings.HasPrefix(rel, PartialDir):
			case err == nil && inside && strings.HasPrefix(rel, "d (2)"):
			default:
				t.Errorf("manifest %d left %s, with %v", i, p, err)
			}
		}
		if err != nil {
			if refused++; reasonOf(err) == 0 && !errors.Is(err, ErrInterrupted) {
				t.Errorf("manifest %d: no clear reason: %v", i, err)
			}
			continue
		}
		if b, err := os.ReadFile(filepath.Join(inbox, "d (2)", "a")); err == nil && string(b) != "payload" {
			t.Errorf("manifest %d: different content: %q", i, b)
		}
	}
	t.Logf("%d manifests: %d refused", len(cases), refused)
}

// flipped returns b with another byte at i.
func flipped(b []byte, i int) []byte {
	c := bytes.Clone(b)
	c[i] ^= 0x55
	return c
}
