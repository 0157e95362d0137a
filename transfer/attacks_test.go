package transfer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/zeebo/blake3"
)

// TestOfferedNames_ArriveOrAreReported: every name that the user saw arrives, or is reported as left out.
func TestOfferedNames_ArriveOrAreReported(t *testing.T) {
	dst := t.TempDir()
	opts := ReceiveOptions{Dir: dst, Names: []string{"holiday.jpg", "b"}, Items: 2}
	a, b := newPipe()
	hostileSend(a, fileRecords("holiday.jpg", "payload"), endRecord(1, 0, 7))
	if _, err := Receive(t.Context(), only(b), opts); !errors.Is(err, ErrProtocol) {
		t.Errorf("one of two came: %v", err)
	}
	a.Interrupt()
	a, b = newPipe()
	hostileSend(a, fileRecords("holiday.jpg", "payload"), putRecord(nil, recSkipped, []byte{8}, []byte("b")), endRecord(1, 0, 7))
	got, err := Receive(t.Context(), only(b), opts)
	if err != nil || got.LeftOut != 1 {
		t.Errorf("one of two came, the other was said to be left out: %v, %+v", err, got)
	}
	a.Interrupt()
	a, b = newPipe()
	hostileSend(a, fileRecords("holiday.jpg", "payload"), fileRecordsAt(1, "b", "x"), fileRecordsAt(2, "invoice.sh", "x"))
	if _, err := Receive(t.Context(), only(b), opts); !errors.Is(err, ErrTooMuch) {
		t.Errorf("a third one came: %v", err)
	}
	a.Interrupt()
}

// TestLinks_LeadingOutTogetherAreLeftOut: links that each stay inside by their text but lead out in combination are
// left out.
func TestLinks_LeadingOutTogetherAreLeftOut(t *testing.T) {
	for name, links := range map[string][]entry{
		"two":     {{path: "photos/a/b/c/d", target: "../../.."}, {path: "photos/album", target: "a/b/c/d/secret"}},
		"case":    {{path: "photos/a/b/c/d", target: "../../.."}, {path: "photos/album", target: "a/b/c/D/secret"}},
		"later":   {{path: "photos/a/album", target: "b/c/d/../x"}},
		"reverse": {{path: "photos/album", target: "a/b/c/d/secret"}, {path: "photos/a/b/c/d", target: "../../.."}},
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			inbox := filepath.Join(home, "inbox")
			write(t, filepath.Join(home, "secret"), "secret")
			write(t, filepath.Join(inbox, "secret"), "secret")
			records := []byte{}
			for _, d := range []string{"photos", "photos/a", "photos/a/b", "photos/a/b/c"} {
				records = putRecord(records, recEntry, entry{kind: kindFolder, path: d}.encode(""))
			}
			for _, l := range links {
				l.kind = kindLink
				records = putRecord(records, recEntry, l.encode(""))
			}
			a, b := newPipe()
			hostileSend(a, records, putRecord(nil, recEnd, Totals{Folders: 4, Links: int64(len(links))}.encode()))
			got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: inbox, Links: true})
			a.Interrupt()
			if name == "later" {
				if !errors.Is(err, ErrProtocol) {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil || got.LeftOut != 1 {
				t.Errorf("%v, %+v", err, got)
			}
			if b, err := os.ReadFile(filepath.Join(inbox, "photos/album")); err == nil {
				t.Errorf("album leads to %q", b)
			}
		})
	}
}

// TestCompare_RevealsNoDigest: a sender that asks about a receiver's file learns whether it has the same file, and
// nothing against which it could test guesses.
func TestCompare_RevealsNoDigest(t *testing.T) {
	dst := t.TempDir()
	write(t, filepath.Join(dst, "notes.txt"), "PIN: 4711")
	secret := blake3.Sum256([]byte("PIN: 4711"))
	for guess, want := range map[string]byte{"PIN: 4712": wantDiffering, "PIN: 4711": wantIdentical} {
		a, b := newPipe()
		done := make(chan error, 1)
		go func() {
			_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Existing: SkipIdentical})
			done <- err
		}()
		sum := blake3.Sum256([]byte(guess))
		seq := uint64(0)
		say := func(records []byte) {
			k := newBlock()
			k.buf = append(k.buf, records...)
			k.seq = seq
			seq++
			k.seal()
			_, _ = a.Write(k.buf)
		}
		say(putRecord(nil, recEntry, entry{path: "notes.txt", size: 9}.encode("")))
		in := newFrameReader(a)
		var verdicts []byte
		for len(verdicts) < 2 {
			k, _, err := in.next()
			if err != nil {
				t.Fatal(err)
			}
			if k == nil {
				continue
			}
			go func() { _, _ = a.Write(binary.BigEndian.AppendUint64([]byte{frameTaken}, k.seq+1)) }()
			if strings.Contains(string(k.body()), string(secret[:])) || strings.Contains(string(k.body()), string(secret[:16])) {
				t.Error("the receiver has revealed the digest of its file")
			}
			said := records{k.body()}
			for kind, body, ok, err := said.next(); ok && err == nil; kind, body, ok, err = said.next() {
				if kind != recWant {
					continue
				}
				verdicts = append(verdicts, body[1])
				if body[1] == wantDigests {
					go say(putRecord(nil, recSums, counts(0), sum[:]))
				}
			}
		}
		if verdicts[0] != wantDigests || verdicts[1] != want {
			t.Errorf("%s: verdicts %v", guess, verdicts)
		}
		a.Interrupt()
		<-done
	}
}

// TestStaging_OfAnotherUserIsNotUsed: anyone who can write to the staging folder could have other content published.
func TestStaging_OfAnotherUserIsNotUsed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system's own rights decide there")
	}
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	write(t, src, "payload")
	if err := os.Mkdir(filepath.Join(dst, PartialDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dst, PartialDir), 0o777); err != nil {
		t.Fatal(err)
	}
	_, _, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if !errors.Is(sendErr, ErrDenied) || !errors.Is(recvErr, ErrDenied) || !strings.Contains(recvErr.Error(), PartialDir) {
		t.Errorf("sender %v, receiver %v", sendErr, recvErr)
	}
}

// TestStaging_ExchangedProbeIsNotTrusted: a user with write access to the folder replaces the file that is created to
// find out whether the disk keeps modes.
func TestStaging_ExchangedProbeIsNotTrusted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the system's own rights decide there")
	}
	dst := t.TempDir()
	hidden := filepath.Join(dst, PartialDir)
	if err := errors.Join(os.Mkdir(hidden, 0o700), os.Chmod(hidden, 0o777)); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dst)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	ctx, cancel := context.WithCancel(t.Context())
	var exchanging sync.WaitGroup
	exchanged := 0
	for range 2 {
		exchanging.Go(func() {
			for ctx.Err() == nil {
				list, _ := os.ReadDir(hidden)
				for _, e := range list {
					at := filepath.Join(hidden, e.Name())
					if strings.HasSuffix(at, ".away") || os.Rename(at, at+".away") != nil {
						continue
					}
					if os.Mkdir(at, 0o777) == nil {
						_ = os.Chmod(at, 0o777)
					}
				}
			}
		})
	}
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		if h, err := openHidden(root); err == nil {
			_ = h.Close()
			exchanged++
		}
		if exchanged == 0 {
			list, _ := os.ReadDir(hidden)
			for _, e := range list {
				_ = os.Remove(filepath.Join(hidden, e.Name()))
			}
		}
	}
	cancel()
	exchanging.Wait()
	if exchanged > 0 {
		t.Errorf("the folder was taken for our own %d times", exchanged)
	}
}

// TestStaging_IsPublishedByItsHandle: a different folder in place of the staging folder is not published.
func TestStaging_IsPublishedByItsHandle(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a folder that is open cannot be renamed there")
	}
	src, dst := filepath.Join(t.TempDir(), "report.bin"), t.TempDir()
	write(t, src, "payload")
	swapped := false
	check := func(op, _ string) error {
		if op == "link" && !swapped {
			swapped = true
			staging := filepath.Join(dst, PartialDir, "x")
			if err := os.Rename(staging, filepath.Join(dst, "away")); err != nil {
				t.Error(err)
			}
			write(t, filepath.Join(staging, dataDir, "report.bin"), "of another user")
		}
		return nil
	}
	_, _, _, err := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x", check: check})
	if b, readErr := os.ReadFile(filepath.Join(dst, "report.bin")); readErr != nil || string(b) != "payload" || !swapped {
		t.Errorf("published %q, %v; %v", b, readErr, err)
	}
}

// TestSource_SwappedForALinkIsNotFollowed: while a folder that others may write to is sent, a part of it is replaced
// by a link to a folder that only its owner may read.
func TestSource_SwappedForALinkIsNotFollowed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	for name, swap := range map[string]func(home string) error{
		"a folder": func(home string) error {
			return errors.Join(os.Rename(filepath.Join(home, "pub/album"), filepath.Join(home, "old")),
				os.Symlink("../private", filepath.Join(home, "pub/album")))
		},
		"the top": func(home string) error {
			return errors.Join(os.Rename(filepath.Join(home, "pub"), filepath.Join(home, "old")),
				os.Mkdir(filepath.Join(home, "pub"), 0o755),
				os.Symlink("../private", filepath.Join(home, "pub/album")))
		},
		"the top for another folder": func(home string) error {
			return errors.Join(os.Rename(filepath.Join(home, "pub"), filepath.Join(home, "old")),
				os.Mkdir(filepath.Join(home, "pub"), 0o755),
				os.Rename(filepath.Join(home, "private"), filepath.Join(home, "pub/album")))
		},
		"a file": func(home string) error {
			p := filepath.Join(home, "pub/album/key")
			return errors.Join(os.Remove(p), os.Symlink("other", p), os.WriteFile(filepath.Join(home, "pub/album/other"), []byte("secret"), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			home, dst := t.TempDir(), t.TempDir()
			write(t, filepath.Join(home, "pub/album/key"), "public")
			write(t, filepath.Join(home, "pub/z"), "public")
			write(t, filepath.Join(home, "private/key"), "secret")
			l, err := NewListing([]string{filepath.Join(home, "pub")}, ListOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := l.Fill(t.Context(), nil); err != nil {
				t.Fatal(err)
			}
			if err := swap(home); err != nil {
				t.Fatal(err)
			}
			sent, _, _, _ := runWith(t, t.Context(), SendOptions{Listing: l}, ReceiveOptions{Dir: dst})
			if b, err := os.ReadFile(filepath.Join(dst, "pub/album/key")); err == nil {
				t.Errorf("sent %q", b)
			}
			if sent.LeftOut == 0 {
				t.Error("nothing is reported")
			}
		})
	}
}

// TestPartialDir_EntryOfThatNameIsRenamed: a received folder must not bring a staging folder with a journal of its
// own.
func TestPartialDir_EntryOfThatNameIsRenamed(t *testing.T) {
	src, dst := filepath.Join(t.TempDir(), "d"), t.TempDir()
	write(t, filepath.Join(src, PartialDir, "x", journalName), "poison")
	write(t, filepath.Join(src, "sub", strings.ToUpper(PartialDir), "x"), "poison")
	_, got, _, err := runWith(t, t.Context(), SendOptions{Listing: listAll(t, src)}, ReceiveOptions{Dir: dst})
	if err != nil || got.Renamed != 2 {
		t.Errorf("%v, %+v", err, got)
	}
	_ = filepath.WalkDir(dst, func(p string, d fs.DirEntry, err error) error {
		if err == nil && strings.EqualFold(d.Name(), PartialDir) {
			t.Errorf("%s is there", p)
		}
		return err
	})
}

// listAll lists everything below dir, also what a sender that keeps to the rules leaves out.
func listAll(t *testing.T, dir string) *Listing {
	t.Helper()
	l, err := NewListing([]string{dir}, ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	src := newSource(l.tops)
	defer src.close()
	err = filepath.WalkDir(dir, func(p string, _ fs.DirEntry, err error) error {
		rel, relErr := filepath.Rel(filepath.Dir(dir), p)
		l.add(src.look(filepath.ToSlash(rel), false))
		return errors.Join(err, relErr)
	})
	if err != nil {
		t.Fatal(err)
	}
	l.filled = true
	return l
}

// TestJournal_GivesNoUnsafeName: the journal may have come with a received folder.
func TestJournal_GivesNoUnsafeName(t *testing.T) {
	for _, saved := range []string{"Start me.desktop", "x/../../out", "a\\b", ".bashrc", "CON"} {
		p := newPlan()
		got, err := p.add("notes.txt", false, saved)
		if err != nil || got != "notes.txt" {
			t.Errorf("journal reports %q: saved as %q, %v", saved, got, err)
		}
	}
	p := newPlan()
	if got, err := p.add("notes.txt", false, "notes (2).txt"); err != nil || got != "notes (2).txt" {
		t.Errorf("saved as %q, %v", got, err)
	}
}

// TestPortable_LeavesNoSeparator: on other systems, a backslash or a colon would lead to another folder.
func TestPortable_LeavesNoSeparator(t *testing.T) {
	for _, name := range []string{`..\..\x`, `C:`, `c:\x`, `a\b`, `\\server\share`, "file.txt:stream", "a/b"[:1] + "\\"} {
		for _, top := range []bool{true, false} {
			if s := portable(name, top, maxName); strings.ContainsAny(s, `\:/`) {
				t.Errorf("%q is %q", name, s)
			}
		}
	}
}

// TestDiskSpace_ManySmallFiles: files of one byte take 4 KiB each, and leave the reserve free.
func TestDiskSpace_ManySmallFiles(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("free space is not asked for there")
	}
	dst := t.TempDir()
	if _, _, _, err := run(t, t.Context(), []string{dst}, ReceiveOptions{Dir: t.TempDir(), Entries: 1 << 50}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("2^50 entries: %v", err)
	}
	src := filepath.Join(t.TempDir(), "many")
	for i := range 9000 { // 36 MiB on a disk
		write(t, filepath.Join(src, fmt.Sprint(i%50), fmt.Sprint(i)), "x")
	}
	for range 5 {
		free, err := FreeSpace(dst)
		if err != nil {
			t.Fatal(err)
		}
		reserve := int64(free) - 4<<20
		if fillsUp(t, src, t.TempDir(), reserve) {
			return
		}
		if free, err = FreeSpace(dst); err != nil || int64(free) < reserve {
			t.Fatalf("%d of %d bytes were left, %v", free, reserve, err)
		}
		t.Log("another process has freed space in the meantime")
	}
	t.Error("the disk never became full")
}

// fillsUp receives src into dst, and reports whether the disk became full.
func fillsUp(t *testing.T, src, dst string, reserve int64) (full bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, _, _, _ = run(t, ctx, []string{src}, ReceiveOptions{Dir: dst, Reserve: reserve, OnProgress: func(p Progress) {
		if p.Phase == Full {
			full = true
			cancel()
		}
	}})
	return full
}

// asks plays the sender of a file that has content, and returns what the receiver wants of it: the second verdict,
// and its bits.
func asks(t *testing.T, opts ReceiveOptions, size int64, digests ...[32]byte) (verdict byte, bits byte) {
	t.Helper()
	a, b := newPipe()
	done := make(chan struct{})
	go func() { defer close(done); _, _ = Receive(t.Context(), only(b), opts) }()
	defer func() { a.Interrupt(); <-done }()
	seq := uint64(0)
	say := func(records []byte) {
		k := newBlock()
		k.buf = append(k.buf, records...)
		k.seq = seq
		seq++
		k.seal()
		_, _ = a.Write(k.buf)
	}
	say(putRecord(nil, recEntry, entry{path: "notes.txt", size: size}.encode("")))
	in := newFrameReader(a)
	for {
		k, _, err := in.next()
		if err != nil {
			t.Fatal(err)
		}
		if k == nil {
			continue
		}
		go func() { _, _ = a.Write(binary.BigEndian.AppendUint64([]byte{frameTaken}, k.seq+1)) }()
		said := records{k.body()}
		for kind, body, ok, err := said.next(); ok && err == nil; kind, body, ok, err = said.next() {
			switch {
			case kind == recWant && body[1] == wantDigests:
				sums := counts(0)
				for _, d := range digests {
					sums = append(sums, d[:]...)
				}
				go say(putRecord(nil, recSums, sums))
			case kind == recWant:
				return body[1], body[len(body)-1]
			}
		}
	}
}

// TestCompare_RevealsNoPart: a sender that knows the start of a file learns nothing about the rest, wherever it cuts
// its own; and it can ask once for each name and offer, over any number of attempts.
func TestCompare_RevealsNoPart(t *testing.T) {
	dst := t.TempDir()
	secret := "PIN: 4711\npassword: Tr0ub4dor&3\n"
	write(t, filepath.Join(dst, "notes.txt"), secret)
	for n := 1; n < len(secret); n++ {
		opts := ReceiveOptions{Dir: dst, ID: fmt.Sprint("x", n), Key: "k", Existing: SkipIdentical}
		if verdict, bits := asks(t, opts, int64(n), blake3.Sum256([]byte(secret[:n]))); verdict != wantDiffering || bits != 0 {
			t.Errorf("the first %d bytes: verdict %d, bits %x", n, verdict, bits)
		}
	}
	opts := ReceiveOptions{Dir: dst, ID: "same", Key: "k", Existing: SkipIdentical}
	if verdict, _ := asks(t, opts, int64(len(secret)), blake3.Sum256([]byte(strings.Replace(secret, "4711", "4712", 1)))); verdict != wantDiffering {
		t.Errorf("a wrong guess: verdict %d", verdict)
	}
	opts.Resume = true
	if verdict, _ := asks(t, opts, int64(len(secret)), blake3.Sum256([]byte(secret))); verdict != wantRest {
		t.Errorf("a second guess, which is right, in the next attempt: verdict %d", verdict)
	}
}

// TestPortable_ActsNotAfterShortening: cutting a name must not turn it into one that takes effect when listed.
func TestPortable_ActsNotAfterShortening(t *testing.T) {
	for _, ext := range []string{".desktop", ".lnk", ".url", ".scf", ".directory", ".webloc"} {
		for _, limit := range []int{maxName, 143, 100, 60} {
			for pad := range 300 {
				name := "Holiday photos " + strings.Repeat("_", pad) + ext + " of the beach, and of the evening"
				if s := portable(name, true, limit); actsWhenListed(s) || len(s) > limit || reserved(s) {
					t.Fatalf("%q is saved as %q, %d bytes of %d", name, s, len(s), limit)
				}
			}
		}
	}
	for pad := range 20 {
		if s := portable("CON"+strings.Repeat(" ", 250+pad)+".x y z of something that is cut", true, maxName); reserved(s) {
			t.Errorf("%q is reserved", s)
		}
	}
}

// TestStaging_IsNotFollowedThroughALink: a link in place of the hidden folder is not followed, and nothing is deleted
// in its target.
func TestStaging_IsNotFollowedThroughALink(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need a privilege there")
	}
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	write(t, src, "payload")
	write(t, filepath.Join(dst, "private/thesis"), "old")
	write(t, filepath.Join(dst, "private/photos/1.jpg"), "old")
	old := time.Now().Add(-40 * 24 * time.Hour)
	for _, p := range []string{"private/thesis", "private/photos/1.jpg", "private/photos"} {
		if err := os.Chtimes(filepath.Join(dst, p), old, old); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("private", filepath.Join(dst, PartialDir)); err != nil {
		t.Fatal(err)
	}
	_, _, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst})
	if !errors.Is(sendErr, ErrDenied) || !errors.Is(recvErr, ErrDenied) {
		t.Errorf("sender %v, receiver %v", sendErr, recvErr)
	}
	if err := Discard(dst, "photos"); err == nil {
		t.Error("it was discarded through the link")
	}
	if err := os.Remove(filepath.Join(dst, PartialDir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dst, "private"), filepath.Join(dst, PartialDir)); err != nil { // no transfer's folder
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(dst, PartialDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); err != nil {
		t.Error(err)
	}
	for _, p := range []string{"thesis", "photos/1.jpg"} {
		if _, err := os.Stat(filepath.Join(dst, PartialDir, p)); err != nil {
			t.Errorf("it was deleted: %v", err)
		}
	}
}

// TestNotes_AreBounded: one side's notes on entries take little memory on the other side.
func TestNotes_AreBounded(t *testing.T) {
	a, b := newPipe()
	hostileSend(a, putRecord(nil, recSkipped, []byte{8}, make([]byte, MaxPath+1)))
	if _, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: t.TempDir()}); !errors.Is(err, ErrProtocol) {
		t.Errorf("a path of %d bytes: %v", MaxPath+1, err)
	}
	a.Interrupt()
	for name, note := range map[string]Note{
		"path":  {Path: strings.Repeat("x", MaxPath+1), Saved: "y"},
		"saved": {Path: "x", Saved: strings.Repeat("y", 5*MaxPath)},
	} {
		if n, err := decodeNote(encodeNote(note)); !errors.Is(err, ErrProtocol) {
			t.Errorf("%s: %d and %d bytes, %v", name, len(n.Path), len(n.Saved), err)
		}
	}
	var r Result
	for range 5000 {
		r.note(Note{Path: strings.Repeat("x", MaxPath), Err: ErrSpecial})
	}
	if r.LeftOut != 5000 || len(r.Notes) > maxNoted/MaxPath {
		t.Errorf("%d left out, %d named", r.LeftOut, len(r.Notes))
	}
}

// TestCompare_OncePerLocalName: names that map to the same local name count as one question.
func TestCompare_OncePerLocalName(t *testing.T) {
	h := &history{fold: newPlan().fold, differ: map[string]string{}}
	if err := h.apply(jourDiffers, []byte("d/my_PIN.txt"), false); err != nil {
		t.Fatal(err)
	}
	if h.differ[collisionKey(newPlan().fold, "d/my_pin.txt")] == "" {
		t.Error("another case is another question")
	}
	dst := t.TempDir()
	write(t, filepath.Join(dst, "notes.txt"), "PIN: 4711")
	opts := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Existing: SkipIdentical}
	if verdict, _ := asks(t, opts, 9, blake3.Sum256([]byte("PIN: 0000"))); verdict != wantDiffering {
		t.Fatalf("verdict %d", verdict)
	}
	b, err := os.ReadFile(filepath.Join(dst, PartialDir, "x", journalName))
	if err != nil || !strings.Contains(string(b), string([]byte{jourDiffers, 9})+"notes.txt") {
		t.Errorf("the journal does not name our file: %v", err)
	}
}

// TestOrphans_OnlyStagingsAreRemoved: only the old folders of transfers in the hidden folder are removed.
func TestOrphans_OnlyStagingsAreRemoved(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("folders have no modes there")
	}
	src, dst := filepath.Join(t.TempDir(), "f"), t.TempDir()
	write(t, src, "payload")
	hidden := filepath.Join(dst, PartialDir)
	old := time.Now().Add(-40 * 24 * time.Hour)
	var j journal
	j.put(jourStart, []byte("k"))
	for name, c := range map[string]struct {
		mode  os.FileMode
		files map[string]string
	}{
		"orphan":   {0o700, map[string]string{journalName: string(j.buf), "data/a": "x"}},
		"waiting":  {0o700, map[string]string{journalName: string(j.buf), "data/a": "x"}}, // another program's
		"thesis":   {0o700, map[string]string{journalName: "my notes", "chapter": "x"}},
		"diary":    {0o700, map[string]string{journalName: "my notes"}},
		"open":     {0o777, map[string]string{journalName: string(j.buf)}},
		"folderly": {0o700, map[string]string{journalName + "/x": "x"}},
	} {
		for p, content := range c.files {
			write(t, filepath.Join(hidden, name, p), content)
		}
		if err := os.Chmod(filepath.Join(hidden, name), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(filepath.Join(hidden, name, journalName), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for name := range map[string]bool{"orphan": true, "waiting": true, "thesis": true, "diary": true, "open": true, "folderly": true} {
		if err := os.Chtimes(filepath.Join(hidden, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	month := time.Now().Add(-30 * 24 * time.Hour)
	if err := os.Chtimes(filepath.Join(hidden, "waiting", journalName), month, month); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(hidden, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); err != nil {
		t.Fatal(err)
	}
	for name, stays := range map[string]bool{"orphan": false, "waiting": true, "thesis": true, "diary": true, "open": true, "folderly": true} {
		if _, err := os.Stat(filepath.Join(hidden, name)); (err == nil) != stays {
			t.Errorf("%s stays: %v, want %v", name, err == nil, stays)
		}
	}
}
