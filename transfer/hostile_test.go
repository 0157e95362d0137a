package transfer

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"
)

// hostileNames returns names that have caused bugs in other programs, and variants of them.
func hostileNames() []string {
	names := []string{
		"..", ".", "/", "//", "../x", "a/../../x", "../../etc/passwd", "/etc/passwd", "/x", "a/../x", "a//b", "a/", "./a", "a/.", "a/..",
		"..\\x", "..\\..\\x", "\\x", "\\\\server\\share\\x", "a\\b", "C:", "C:/x", "C:\\x", "c:x", "z:", "Z:/..", "a\x00b", "\x00", "x\x00.txt",
		"CON", "con", "PRN", "AUX", "NUL", "nul.txt", "COM1", "com1.txt", "COM9.tar.gz", "LPT1", "lpt9.x", "COM¹", "LPT³.txt", "CONIN$", "CONOUT$", "aux .txt",
		"a:b", "x:ads", "file.txt:Zone.Identifier", "file.txt::$DATA", "a<b", "a>b", "a\"b", "a|b", "a?b", "a*b",
		"dot.", "dots...", "space ", "spaces   ", " lead", "dot. ", ". x", ".. ", "... ",
		"a\nb", "a\rb", "a\tb", "a\x1b[31mred", "\x07bell", "a\x7fb", "a\u0085b", "a\u2028b", "a\u2029b",
		"invoice\u202Egpj.exe", "\u202Aa", "a\u2066b", "a\u2069", "\u200Ea", "a\u200Fb", "a\u061Cb", "a\u200Bb", "\uFEFFa", "a\u00ADb", "a\u034Fb",
		"\u3164", "\u115F", "\u2800", "a\u200Db", "\U000E0041", "\uFFFD", "\uE000",
		"\xff", "a\xffb", "\xc0\xae\xc0\xae", "\xed\xa0\x80", "caf\xe9.txt",
		strings.Repeat("n", 300), strings.Repeat("日", 100), strings.Repeat("n", 300) + ".txt", strings.Repeat("d/", 40) + "x", strings.Repeat("a/", 600) + "x",
		"-rf", "~", "~root", "$HOME", "$(touch x)", "`id`", "%2e%2e%2fx", "%00", "a;b", "a&b", "'", "!",
		".bashrc", ".ssh", ".git", ".envrc", ".htaccess", PartialDir, "._x",
		"desktop.ini", "autorun.inf", "x.desktop", "x.lnk", "x.url", "X.LIBRARY-MS", "x.scf", "x.search-ms", "x.theme", "x.terminal", "x.command", "x.webloc",
		"victim.txt", "VICTIM.TXT", "victim.txt.", "victim.txt ", "victim.tx\u200Bt", "dir", "dir/x", "link/x", "link",
	}
	for _, n := range slices.Clone(names) { // variants: an extension, a space, another case, a joiner
		names = append(names, n+".txt", " "+n, strings.ToUpper(n), n+"\u200D", n+". .")
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// hostileSend plays a sender that sends anything: each of its writes is a block.
func hostileSend(p *testPipe, blocks ...[]byte) {
	answered := make(chan struct{})
	go func() {
		seq := uint64(0)
		for _, r := range blocks {
			for len(r) > 0 {
				k := newBlock()
				n := min(len(r), maxBlock)
				if at := wholeRecords(r, n); at > 0 {
					n = at
				}
				k.buf, r = append(k.buf, r[:n]...), r[n:]
				k.seq = seq
				seq++
				k.seal()
				if _, err := p.Write(k.buf); err != nil {
					return
				}
			}
		}
		select { // the end of the lane must not overtake what was sent, nor our acknowledgement of the receipt
		case <-answered:
		case <-time.After(2 * time.Second): // the receiver waits for more, and learns that nothing comes
		}
		_ = p.CloseWrite()
	}()
	go func() {
		end := sync.OnceFunc(func() { close(answered) })
		defer end() // a receiver that does not answer has ended the lane
		in := newFrameReader(p)
		for {
			k, _, err := in.next()
			if err != nil {
				return
			}
			if k == nil {
				continue
			}
			_, _ = p.Write(binary.BigEndian.AppendUint64([]byte{frameTaken}, k.seq+1))
			said := records{k.body()}
			for kind, _, ok, err := said.next(); ok && err == nil; kind, _, ok, err = said.next() {
				if kind == recReceipt || kind == recAbort {
					end()
				}
			}
		}
	}()
}

// wholeRecords returns how many bytes of r, at most n, are complete records.
func wholeRecords(r []byte, n int) int {
	in := records{r[:min(n, len(r))]}
	at := 0
	for {
		_, _, ok, err := in.next()
		if !ok || err != nil {
			return at
		}
		at = min(n, len(r)) - len(in.b)
	}
}

func chunkRecord(off int64, content string) []byte {
	d := digestOf([]byte(content))
	return putRecord(nil, recChunk, counts(off), d[:], []byte(content))
}

func fileRecords(path, content string) []byte { return fileRecordsAt(0, path, content) }

// fileRecordsAt returns the records of the file with that number, in a tree where no two paths share a prefix.
func fileRecordsAt(index int64, path, content string) []byte {
	b := putRecord(nil, recEntry, entry{path: path, size: int64(len(content)), modTime: time.Now()}.encode(""))
	b = putRecord(b, recData, counts(index, 0))
	b = append(b, chunkRecord(0, content)...)
	return putRecord(b, recFileEnd)
}

func endRecord(files, folders, size int64) []byte {
	return putRecord(nil, recEnd, counts(files, folders, 0, size))
}

func TestReceive_HostileNamesStayInTheFolder(t *testing.T) {
	t.Parallel()
	names := hostileNames()
	if len(names) < 500 {
		t.Fatalf("%d names", len(names))
	}
	refused, rewritten, plain := 0, 0, 0
	for _, name := range names {
		home := t.TempDir()
		inbox := filepath.Join(home, "inbox")
		write(t, filepath.Join(home, "outside/secret"), "secret")
		write(t, filepath.Join(home, "x"), "outside")
		write(t, filepath.Join(inbox, "victim.txt"), "victim")
		write(t, filepath.Join(inbox, "dir/x"), "victim")
		if err := os.Symlink("../outside", filepath.Join(inbox, "link")); err != nil {
			t.Fatal(err)
		}
		before := tree(t, home)

		a, b := newPipe()
		hostileSend(a, fileRecords(name, "payload"), endRecord(1, 0, 7))
		got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: inbox})
		a.Interrupt()

		after := tree(t, home)
		for p, v := range before {
			if after[p] != v && p != "inbox" {
				t.Errorf("%q changed %s", name, p)
			}
		}
		if err != nil {
			refused++
			if !errors.Is(err, ErrBadName) {
				t.Errorf("%q: no clear reason: %v", name, err)
			}
			delete(before, "inbox")
			delete(after, "inbox")
			if !maps.Equal(before, after) {
				t.Errorf("%q was refused and left something", name)
			}
			continue
		}
		if len(got.Saved) != 1 || len(after) != len(before)+1 {
			t.Errorf("%q: saved %q, %d entries more", name, got.Saved, len(after)-len(before))
			continue
		}
		saved := got.Saved[0]
		if b, err := os.ReadFile(filepath.Join(inbox, saved)); err != nil || string(b) != "payload" {
			t.Errorf("%q: saved as %q: %q, %v", name, saved, b, err)
		}
		if strings.ContainsAny(saved, "/\\:<>\"|?*\x00") || !utf8.ValidString(saved) || len(saved) > 255 ||
			strings.HasPrefix(saved, ".") || strings.HasSuffix(saved, ".") || strings.HasSuffix(saved, " ") || reserved(saved) {
			t.Errorf("%q: saved as %q", name, saved)
		}
		if saved == name {
			plain++
		} else if rewritten++; len(got.Notes) == 0 {
			t.Errorf("%q: no one was told that it is %q", name, saved)
		}
	}
	t.Logf("%d names: %d refused, %d rewritten and told, %d saved as they are", len(names), refused, rewritten, plain)
}

func TestReceive_CollidingNamesAreAllKept(t *testing.T) {
	dst := t.TempDir()
	a, b := newPipe()
	names := []string{"Name.txt", "NAME.TXT", "name.txt", "\u00e9", "e\u0301", "straße", "STRASSE", "x ", "x.", "x_"}
	var records [][]byte
	for i, n := range names {
		records = append(records, fileRecordsAt(int64(i), n, n))
	}
	hostileSend(a, append(records, endRecord(int64(len(names)), 0, int64(len(strings.Join(names, "")))))...)
	got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst})
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for i, s := range got.Saved {
		key := collisionKey(newPlan().fold, s)
		if seen[key] {
			t.Errorf("%q occurs twice", s)
		}
		seen[key] = true
		if b, _ := os.ReadFile(filepath.Join(dst, s)); string(b) != names[i] {
			t.Errorf("%q holds %q, want %q", s, b, names[i])
		}
	}
	if len(seen) != len(names) {
		t.Errorf("%d of %d files", len(seen), len(names))
	}
}

func TestReceive_InvalidRecordsAreRefused(t *testing.T) {
	good := slices.Clip(fileRecords("a", "payload"))
	begin := func(size int64) []byte {
		return putRecord(putRecord(nil, recEntry, entry{path: "a", size: size}.encode("")), recData, counts(0, 0))
	}
	end := putRecord(nil, recFileEnd)
	join := func(b ...[]byte) []byte { return bytes.Join(b, nil) }
	chunk := chunkRecord(0, "payload")
	folder := func(size byte) []byte {
		return putRecord(nil, recEntry, []byte{byte(kindFolder), 0, size, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a'})
	}
	cases := map[string]struct {
		stream []byte
		want   error
	}{
		"more bytes than announced":  {join(begin(3), chunk), ErrProtocol},
		"fewer bytes than announced": {join(begin(9), chunk, end), ErrProtocol},
		"wrong digest of a chunk":    {join(begin(7), putRecord(nil, recChunk, counts(0), make([]byte, digestSize), []byte("payload"))), ErrDigest},
		"a chunk for another place":  {join(begin(14), chunk, chunk), ErrProtocol},
		"a chunk left out":           {join(begin(14), chunkRecord(7, "payload")), ErrProtocol},
		"a hole over the end":        {join(begin(7), putRecord(nil, recHole, counts(8))), ErrProtocol},
		"an old file that is none":   {join(begin(7), putRecord(nil, recKeep, counts(7))), ErrProtocol},
		"the same as one not asked":  {join(begin(7), putRecord(nil, recSame, counts(0))), ErrProtocol},
		"digests that nothing wants": {join(putRecord(nil, recEntry, entry{path: "a", size: 7}.encode("")), putRecord(nil, recSums, counts(0), make([]byte, digestSize))), ErrProtocol},
		"content twice":              {join(good, putRecord(nil, recData, counts(0, 0))), ErrProtocol},
		"content from the middle":    {join(putRecord(nil, recEntry, entry{path: "a", size: 7}.encode("")), putRecord(nil, recData, counts(0, 3))), ErrProtocol},
		"content of nothing":         {putRecord(nil, recData, counts(7, 0)), ErrProtocol},
		"two files at once":          {join(begin(7), putRecord(nil, recEntry, entry{path: "b", size: 7}.encode("")), putRecord(nil, recData, counts(1, 0))), ErrProtocol},
		"totals that do not add up":  {join(good, endRecord(2, 0, 7)), ErrProtocol},
		"end inside a file":          {join(begin(7), endRecord(1, 0, 7)), ErrProtocol},
		"end before a file":          {join(putRecord(nil, recEntry, entry{path: "a", size: 7}.encode("")), endRecord(1, 0, 7)), ErrProtocol},
		"more after the end":         {join(good, endRecord(1, 0, 7), chunk), ErrProtocol},
		"chunk before a file":        {chunk, ErrProtocol},
		"file end before a file":     {end, ErrProtocol},
		"the same entry twice":       {join(good, good), ErrBadName},
		"file used as a folder":      {join(good, fileRecordsAt(1, "a/b", "payload")), ErrBadName},
		"no folder announced":        {fileRecords("no/such", "payload"), ErrBadName},
		"folder with a size":         {folder(5), ErrProtocol},
		"kind that is none":          {putRecord(nil, recEntry, []byte{9, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 'a'}), ErrProtocol},
		"negative size":              {putRecord(nil, recEntry, []byte{0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 0, 'a'}), ErrProtocol},
		"more of a path than was":    {putRecord(nil, recEntry, []byte{0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 1, 'a'}), ErrProtocol},
		"a link nobody wants":        {putRecord(nil, recEntry, entry{kind: kindLink, path: "a", target: "b"}.encode("")), ErrProtocol},
		"chunk over the limit":       {[]byte{recChunk, 0xff, 0xff, 0xff, 0x7f}, ErrProtocol},
		"record over the limit":      {[]byte{recEntry, 0xff, 0xff, 0x7f}, ErrProtocol},
		"unknown record":             {putRecord(nil, 'q', []byte("?")), ErrProtocol},
		"receipt from the sender":    {putRecord(nil, recReceipt, counts(0, 0, 1, 0, 0, 7)), ErrProtocol},
		"nothing at all":             {endRecord(0, 0, 0), ErrProtocol},
		"gives up":                   {join(good, putRecord(nil, recAbort, []byte{1, 0})), ErrCancelled},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dst := t.TempDir()
			a, b := newPipe()
			hostileSend(a, c.stream)
			_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, ID: "x"})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			left := tree(t, dst)
			for p := range left { // verified data may stay, hidden, for another attempt
				if !strings.HasPrefix(p, PartialDir) || drops(c.want) {
					t.Errorf("left %v", p)
				}
			}
		})
	}
}

// TestLanes_InvalidFramesAreRefused covers the framing around the records.
func TestLanes_InvalidFramesAreRefused(t *testing.T) {
	frame := func(seq uint64, n uint32, body string) []byte {
		b := binary.BigEndian.AppendUint64([]byte{frameBlock}, seq)
		return append(binary.BigEndian.AppendUint32(b, n), body...)
	}
	flood := func() []byte { // blocks that are never due
		var b []byte
		for i := range 200 {
			b = append(b, frame(uint64(i+1), maxBlock, string(make([]byte, maxBlock)))...)
		}
		return b
	}
	for name, stream := range map[string][]byte{
		"unknown frame":           {'q'},
		"empty block":             frame(0, 0, ""),
		"block over the limit":    frame(0, maxBlock+1, ""),
		"more than the window":    flood(),
		"taken what was not sent": binary.BigEndian.AppendUint64([]byte{frameTaken}, 1000),
		"half a record":           frame(0, 3, "E\xf0a"),
	} {
		t.Run(name, func(t *testing.T) {
			a, b := newPipe()
			go func() {
				_, _ = a.Write(stream)
				_, _ = io.Copy(io.Discard, a)
			}()
			if _, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: t.TempDir()}); !errors.Is(err, ErrProtocol) {
				t.Error(err)
			}
		})
	}
}

func TestSend_WrongReceiptIsRefused(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a")
	write(t, src, "payload")
	a, b := newPipe()
	go func() {
		var out packer
		out.to = newBundle()
		out.to.attach(b)
		_ = out.put(recGo, []byte{0})
		_ = out.flush()
		k, err := out.to.recv()
		if err == nil {
			out.to.done(k)
		}
		_ = out.put(recReceipt, counts(0, 0, 1, 0, 0, 6))
		_ = out.flush()
		_ = out.to.drain(time.Second)
		out.to.fail(errEnded)
	}()
	if _, err := Send(t.Context(), only(a), SendOptions{Paths: []string{src}}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a receipt for other bytes was believed: %v", err)
	}
}

// TestSend_EarlyReceiptIsRefused: a receiver cannot report as delivered what was never sent, with totals of its own or
// with those of what was sent so far.
func TestSend_EarlyReceiptIsRefused(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a")
	write(t, src, "payload")
	for _, totals := range []Totals{{Files: 777, Bytes: 1 << 40}, {}} {
		a, b := newPipe()
		go func() {
			var out packer
			out.to = newBundle()
			out.to.attach(b)
			_ = out.put(recReceipt, counts(0, 0), totals.encode())
			_ = out.flush()
			_ = out.to.drain(time.Second)
			out.to.fail(errEnded)
		}()
		got, err := Send(t.Context(), only(a), SendOptions{Paths: []string{src}})
		if !errors.Is(err, ErrProtocol) || got.Sent {
			t.Errorf("%+v: %+v, %v", totals, got, err)
		}
	}
}

// TestSend_EarlyFinishIsRefused: a receiver that does not have everything cannot report that it only has to make it
// durable.
func TestSend_EarlyFinishIsRefused(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a")
	write(t, src, "payload")
	a, b := newPipe()
	go func() {
		var out packer
		out.to = newBundle()
		out.to.attach(b)
		_ = out.put(recProgress, counts(7, 1, int64(Finishing)))
		_ = out.flush()
		_ = out.to.drain(time.Second)
		out.to.fail(errEnded)
	}()
	if _, err := Send(t.Context(), only(a), SendOptions{Paths: []string{src}}); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

// TestSend_FloodOfProgressEndsIt: a receiver that reports progress without end would keep the sender's processor busy.
func TestSend_FloodOfProgressEndsIt(t *testing.T) {
	src := filepath.Join(t.TempDir(), "a")
	write(t, src, "payload")
	a, b := newPipe()
	go func() {
		var out packer
		out.to = newBundle()
		out.to.attach(b)
		_ = out.put(recGo, []byte{0})
		for range 10 * maxProgress {
			if out.put(recProgress, counts(1, 0, int64(Moving))) != nil {
				break
			}
		}
		_ = out.flush()
		_ = out.to.drain(time.Second)
		out.to.fail(errEnded)
	}()
	if _, err := Send(t.Context(), only(a), SendOptions{Paths: []string{src}}); !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
}

// safe reports whether a saved path is one that plan may return.
func safe(p string) error {
	parts, err := splitPath(p)
	if err != nil {
		return err
	}
	for i, s := range parts {
		switch {
		case !utf8.ValidString(s), len(s) > 255, strings.ContainsAny(s, "\\:<>\"|?*"), reserved(s),
			strings.HasSuffix(s, "."), strings.HasSuffix(s, " "), i == 0 && s[0] == '.':
			return fmt.Errorf("component %q", s)
		}
		for _, r := range s {
			if !allowed(r) && r != 0x200C && r != 0x200D {
				return fmt.Errorf("character %U", r)
			}
		}
	}
	return nil
}

// TestNames_AreSafeAtEachLength: a disk that rejects a name gets a shorter one, which is as safe as the original name,
// even if the part that is kept contains only dots and spaces.
func TestNames_AreSafeAtEachLength(t *testing.T) {
	names := hostileNames()
	for _, fill := range []string{".", " ", ". ", "..b", "_", "\u00a0", "CON.", "~1"} {
		for _, n := range []int{20, 59, 60, 61, 143, 144, 150, 255} {
			names = append(names, strings.Repeat(fill, n)+strings.Repeat("b", 30), strings.Repeat(fill, n), "a"+strings.Repeat(fill, n)+".txt")
		}
	}
	for _, name := range names {
		name = strings.ReplaceAll(name, "/", "") // a component of a path
		if name == "" {
			continue
		}
		for _, limit := range append([]int{maxName}, shorter...) {
			for _, top := range []bool{true, false} {
				s := portable(shorten(name, limit), top, limit)
				if s == "" || len(s) > limit || s == "." || s == ".." || s[0] == ' ' || top && s[0] == '.' || strings.ContainsAny(s, "/\\\x00") || reserved(s) {
					t.Errorf("%q in %d bytes is %q", name, limit, s)
				}
			}
		}
	}
}

func FuzzSafePath(f *testing.F) {
	for _, n := range hostileNames() {
		f.Add(n, "sub/"+n)
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		p := newPlan()
		saved := map[string]bool{}
		for i, raw := range []string{one, two} {
			s, err := p.add(raw, i == 0, "")
			if err != nil {
				continue
			}
			if err := safe(s); err != nil {
				t.Errorf("%q became %q: %v", raw, s, err)
			}
			if key := collisionKey(p.fold, s); saved[key] {
				t.Errorf("%q occurs twice", s)
			} else {
				saved[key] = true
			}
		}
	})
}

func FuzzReceive(f *testing.F) {
	f.Add(append(fileRecords("a", "payload"), endRecord(1, 0, 7)...))
	f.Add(putRecord(nil, recEntry, entry{path: "d", kind: kindFolder}.encode("")))
	f.Add([]byte{recChunk, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, stream []byte) {
		home := t.TempDir()
		inbox := filepath.Join(home, "inbox")
		if err := os.Mkdir(inbox, 0o755); err != nil {
			t.Fatal(err)
		}
		a, b := newPipe()
		hostileSend(a, stream)
		_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: inbox})
		a.Interrupt()
		left := tree(t, home)
		delete(left, "inbox")
		if err != nil {
			for p := range left {
				if !strings.HasPrefix(p, "inbox/"+PartialDir) {
					t.Errorf("failed with %v and left %v", err, p)
				}
			}
		}
		for p := range left {
			if !strings.HasPrefix(p, "inbox/") {
				t.Errorf("%q is outside", p)
			}
		}
	})
}

// FuzzDecoders covers what a receiver may send, and what a damaged disk may return as a journal.
func FuzzDecoders(f *testing.F) {
	var j journal
	j.put(jourStart, []byte("k"))
	j.put(jourBoot, []byte("b"))
	j.put(jourEntry, encodeHeld(entry{path: "a/b", size: 9}, "a/b"))
	j.put(jourAt, counts(5, 5), make([]byte, digestSize))
	j.put(jourSynced, bigEndian(30))
	j.put(jourNote, encodeNote(Note{Path: "a/c", Err: ErrVanished}))
	j.put(jourEnd, counts(0, 0, 1, 0, 1, 1, 0, 9))
	f.Add(j.buf)
	f.Add(want{from: 5, lastN: 5}.encode(1))
	f.Add(want{piece: minPiece, equal: []byte{1}}.encode(1))
	f.Add(want{piece: minPiece, digests: true}.encode(1))
	f.Add(encodeNote(Note{Path: "a", Saved: "b"}))
	f.Add(encodeRefused(Totals{Files: 1}, 3, ErrDisk, "a"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, w, err := decodeWant(b); err == nil && (w.lastN > w.from || len(w.equal) > maxPieces/8) {
			t.Errorf("%+v", w)
		}
		_, _ = decodeNote(b)
		_, _ = decodeRefused(b)
		_, _ = decodeTotals(b)
		_, _ = decodeEntry(b, "before")
		h, err := readJournal(bytes.NewReader(b), "k", "b")
		if err == nil && h != nil && h.size > int64(len(b)) {
			t.Errorf("%d bytes of %d count", h.size, len(b))
		}
	})
}

// TestReceive_NotMoreThanWasAccepted: only what the user accepted may arrive.
func TestReceive_NotMoreThanWasAccepted(t *testing.T) {
	limit := func(t Totals) error {
		if t.Files > 1 || t.Folders > 1 || t.Bytes > 7 {
			return ErrTooMuch
		}
		return nil
	}
	file := func(name, content string) []byte { return slices.Clip(fileRecords(name, content)) }
	folder := func(name string) []byte {
		return putRecord(nil, recEntry, entry{path: name, kind: kindFolder}.encode(""))
	}
	for name, c := range map[string]struct {
		stream []byte
		want   error
	}{
		"as offered":    {bytes.Join([][]byte{folder("d"), file("d/a", "payload"), endRecord(1, 1, 7)}, nil), nil},
		"a byte more":   {bytes.Join([][]byte{folder("d"), file("d/a", "payload+")}, nil), ErrTooMuch},
		"a file more":   {bytes.Join([][]byte{folder("d"), file("d/a", "p"), slices.Clip(fileRecordsAt(1, "d/b", "p"))}, nil), ErrTooMuch},
		"a folder more": {bytes.Join([][]byte{folder("d"), folder("d/e")}, nil), ErrTooMuch},
		"another name":  {file("other", "p"), ErrTooMuch},
		"2^62 bytes":    {bytes.Join([][]byte{folder("d"), putRecord(nil, recEntry, entry{path: "d/a", size: 1 << 62}.encode(""))}, nil), ErrTooMuch},
	} {
		t.Run(name, func(t *testing.T) {
			dst := t.TempDir()
			a, b := newPipe()
			hostileSend(a, c.stream)
			_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Limit: limit, Names: []string{"d"}, Items: 1})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
			if left := tree(t, dst); err != nil && len(left) != 0 {
				t.Errorf("left %v", left)
			}
		})
	}
}

func TestSend_WantOfAnUnannouncedFileIsRefused(t *testing.T) {
	src := filepath.Join(t.TempDir(), "f")
	random(t, src, 100, 1)
	for name, ask := range map[string]byte{"asked": goAsk, "not asked": 0} {
		for _, digests := range []bool{true, false} {
			a, p := newPipe()
			done := make(chan error, 1)
			go func() { _, err := Send(t.Context(), only(p), SendOptions{Paths: []string{src}}); done <- err }()
			b := newBundle()
			b.attach(a)
			out := packer{to: b}
			_ = out.put(recGo, []byte{ask})
			_ = out.put(recWant, want{piece: minPiece, digests: digests}.encode(10))
			_ = out.flush()
			select {
			case err := <-done:
				if !errors.Is(err, ErrProtocol) {
					t.Errorf("%s, digests %v: %v", name, digests, err)
				}
			case <-time.After(10 * time.Second):
				t.Errorf("%s, digests %v: the sender continues", name, digests)
			}
			b.fail(errEnded)
			b.wait()
		}
	}
}
