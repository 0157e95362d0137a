//go:build linux

package hostile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// transferring holds the attacks inside a transfer.
var transferring = []attack{
	{moving, "bytes for an offer that was not accepted", "no lane; nothing is stored", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		id := hexID()
		if err := a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":7,"attempt":1}`, id)); err != nil {
			return err
		}
		if _, _, err := a.lane(id, ""); err == nil {
			return errors.New("let in")
		}
		return a.nothingStored()
	}},
	{moving, "a lane with the right ID and another token", "no lane", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		if _, _, err := a.lane(id, hexID()+hexID()); err == nil {
			return errors.New("let in")
		}
		return nil
	}},
	{moving, "a lane of another key for a running transfer", "no lane", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		b := a.v.attacker("friend of a friend")
		defer b.close()
		if err := b.connect(); err != nil {
			return err
		}
		state := a.conn.ConnectionState().TLS
		token, err := state.ExportKeyingMaterial("EXPORTER-multipeer-lane", []byte(id), 32)
		if err != nil {
			return err
		}
		if _, _, err := b.lane(id, fmt.Sprintf("%x", token)); err == nil {
			return errors.New("let in with the token of another conn")
		}
		return nil
	}},
	{moving, "an offer with the ID of another's transfer", "refused, the transfer stays", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		b := a.v.attacker("friend of a friend")
		defer b.close()
		if err := b.connect(); err != nil {
			return err
		}
		if err := b.offer(id, []string{"x"}, 1, 0, 7); err == nil {
			return errors.New("accepted")
		}
		return a.alive()
	}},
	{moving, "20 lanes", "at most 10", func(a *attacker) error {
		id, _, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		n := 1
		for range 20 {
			if _, _, err := a.lane(id, ""); err == nil {
				n++
			}
		}
		if n > 10 {
			return fmt.Errorf("%d lanes", n)
		}
		return nil
	}},
	{moving, "a path that climbs", "refused", badPath("d/../../victim.txt")},
	{moving, "an absolute path", "refused", badPath("/etc/passwd")},
	{moving, "a path with a NUL", "refused", badPath("d/a\x00b")},
	{moving, "a path with a backslash", "refused", badPath(`d\..\..\x`)},
	{moving, "a drive", "refused", badPath("C:/x")},
	{moving, "an empty component", "refused", badPath("d//x")},
	{moving, "a path of 2,000 bytes", "refused", badPath("d/" + strings.Repeat("x", 2000))},
	{moving, "a path 40 deep", "refused", badPath("d/" + strings.Repeat("x/", 40) + "x")},
	{moving, "another top-level name than was offered", "refused", badPath("e")},
	{moving, "a file in a folder that was not announced", "refused", badPath("d/e/x")},
	{moving, "an absolute path that is not UTF-8", "refused", badPath("/\xff")},
	{moving, "an entry twice", "refused", spoiled([]string{"d"}, 2, 1, 14, one(entry(1, "d", 0, ""), entry(0, "d/a", 7, ""), entry(0, "d/a", 7, ""))...)},
	{moving, "a file used as a folder", "refused", spoiled([]string{"d"}, 2, 1, 14, one(entry(1, "d", 0, ""), entry(0, "d/a", 7, ""), entry(0, "d/a/b", 7, ""))...)},
	{moving, "a link that leads out", "not made", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"l"}, 0, 0, 0)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(2, "l", 0, "../../victim.txt"), end(0, 0, 1, 0)))
		_, _ = result(lane)
		if _, err := os.Lstat(filepath.Join(a.v.dir, "inbox", "l")); err == nil {
			return errors.New("made")
		}
		return nil
	}},
	{moving, "a link that climbs after a name", "refused", spoiled([]string{"d"}, 1, 1, 7, one(entry(1, "d", 0, ""), entry(2, "d/l", 0, "x/../y"))...)},
	{moving, "a link through another link", "left out", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"d"}, 3, 2, 0)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(1, "d", 0, ""), entry(1, "d/e", 0, ""), entry(2, "d/e/up", 0, "../.."), entry(2, "d/l", 0, "e/up/victim.txt"), end(0, 2, 2, 0)))
		_, _ = result(lane)
		if _, err := os.ReadFile(filepath.Join(a.v.dir, "inbox", "d", "l")); err == nil {
			return errors.New("it leads out of its folder")
		}
		return nil
	}},
	{moving, "not all names that were offered", "refused", spoiled([]string{"x", "y"}, 2, 0, 7, one(entry(0, "x", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7))...)},
	{moving, "unrequested digests of a file", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), record('Y', varint(0), make([]byte, 32)))...)},
	{moving, "content after an unannounced refusal", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), record('X', varint(0), []byte{1}), data(0, 0))...)},
	{moving, "more bytes than were offered", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 1<<30, ""))...)},
	{moving, "a file of 2^63 bytes", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 1<<63, ""))...)},
	{moving, "more files than were offered", "refused", func(a *attacker) error {
		var records [][]byte
		records = append(records, entry(1, "d", 0, ""))
		for i := range 5000 {
			records = append(records, entry(0, fmt.Sprintf("d/%d", i), 0, ""))
		}
		return spoiled([]string{"d"}, 1, 1, 7, one(records[:1000]...)[0], block(1, records[1000:2500]...), block(2, records[2500:]...))(a)
	}},
	{moving, "a file alone that is larger than was offered", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 200<<10, ""))...)},
	{moving, "another file in an offer of files only", "refused", spoiled([]string{"x", "y"}, 2, 0, 7, one(entry(0, "x", 7, ""), entry(0, "y", 0, ""), entry(0, "z", 0, ""))...)},
	{moving, "2 MiB in a folder of 7 bytes", "refused", spoiled([]string{"d"}, 1, 1, 7, one(entry(1, "d", 0, ""), entry(0, "d/x", 2<<20, ""))...)},
	{moving, "10 files in a folder of one", "refused", func(a *attacker) error {
		records := [][]byte{entry(1, "d", 0, "")}
		for i := range 10 {
			records = append(records, entry(0, fmt.Sprintf("d/%d", i), 0, ""))
		}
		return spoiled([]string{"d"}, 1, 1, 7, one(records...)...)(a)
	}},
	{moving, "lanes for more transfers than eight", "refused", manyLanes},
	{moving, "attempts that each bring another file", "no more is stored than was offered", attempts},
	{moving, "a digest that lies", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(0, 0), record('C', varint(0), make([]byte, 16), []byte("payload")), record('F'), end(1, 0, 0, 7))...)},
	{moving, "a chunk beyond the end of its file", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 3, ""), data(0, 0), chunk(0, "payload"))...)},
	{moving, "a chunk with a gap before it", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(7, "payload"))...)},
	{moving, "a chunk twice", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(0, "payload"), chunk(0, "payload"))...)},
	{moving, "a missing chunk", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 14))...)},
	{moving, "a hole of 2^62 bytes", "refused", spoiled([]string{"x"}, 1, 0, 14, one(entry(0, "x", 14, ""), data(0, 0), record('H', varint(1<<62)))...)},
	{moving, "content of a file that was not announced", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(9, 0), chunk(0, "payload"))...)},
	{moving, "a chunk before any file", "refused", spoiled([]string{"x"}, 1, 0, 7, one(chunk(0, "payload"))...)},
	{moving, "an end whose counts lie", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(9, 9, 9, 9))...)},
	{moving, "an end before the content", "refused", spoiled([]string{"x"}, 1, 0, 7, one(entry(0, "x", 7, ""), end(1, 0, 0, 7), end(1, 0, 0, 7))...)},
	{moving, "a receipt from the sender", "refused", spoiled([]string{"x"}, 1, 0, 7, one(record('R', varint(0), varint(1), varint(0), varint(0), varint(7)))...)},
	{moving, "a record of an unknown type", "refused", spoiled([]string{"x"}, 1, 0, 7, one(record('?', []byte("x")))...)},
	{moving, "a record that is longer than its block", "refused", spoiled([]string{"x"}, 1, 0, 7, one([]byte{'E', 0xff, 0x01, 1})...)},
	{moving, "a varint without end", "refused", spoiled([]string{"x"}, 1, 0, 7, one(append([]byte{'E'}, bytes.Repeat([]byte{0xff}, 30)...))...)},
	{moving, "a block of 4 GiB", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, append([]byte{'B', 0, 0, 0, 0, 0, 0, 0, 0}, 0xff, 0xff, 0xff, 0xff))},
	{moving, "a block far ahead", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, block(1<<40, entry(0, "x", 7, "")))},
	{moving, "a block twice", "accepted once", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"twice.txt"}, 1, 0, 7)
		if err != nil {
			return err
		}
		first := block(0, entry(0, "twice.txt", 7, ""))
		_, _ = lane.Write(append(append(first, first...), block(1, data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7))...))
		kind, err := result(lane)
		if err == nil && kind != 'R' {
			err = fmt.Errorf("answered by %q", kind)
		}
		return err
	}},
	{moving, "an acknowledgement of unsent blocks", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, binary.BigEndian.AppendUint64([]byte{'K'}, 1<<50))},
	{moving, "noise on the lane", "the lane is ended", spoiled([]string{"x"}, 1, 0, 7, random(10_000))},
	{moving, "a manifest of 300,000 entries where one was offered", "refused early", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"d"}, 1, 1, 7)
		if err != nil {
			return err
		}
		n := 0
		for b := range 300 {
			var records [][]byte
			if b == 0 {
				records = append(records, entry(1, "d", 0, ""))
			}
			for range 1000 {
				records = append(records, entry(0, fmt.Sprintf("d/%d", n), 0, ""))
				n++
			}
			_ = lane.SetWriteDeadline(time.Now().Add(2 * time.Second))
			if _, err := lane.Write(block(uint64(b), records...)); err != nil {
				break
			}
		}
		if kind, err := result(lane); err == nil && kind != 'A' {
			return fmt.Errorf("answered by %q", kind)
		}
		return nil
	}},
	{moving, "a lane with a byte every 100 ms", "others are served", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"x"}, 1, 0, 7)
		if err != nil {
			return err
		}
		for _, c := range block(0, entry(0, "x", 7, ""))[:15] {
			if _, err := lane.Write([]byte{c}); err != nil {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		return a.nothingStored()
	}},
	{moving, "a silent lane", "given up after 6 s", func(a *attacker) error {
		id := hexID()
		if err := a.connect(); err != nil {
			return err
		}
		if err := a.offer(id, []string{"x"}, 1, 0, 7); err != nil {
			return err
		}
		c, _, err := a.lane(id, "")
		if err != nil {
			return err
		}
		_, err = closed(c, 15*time.Second)
		return err
	}},
	{moving, "bytes after the transfer was cancelled", "nothing is stored", func(a *attacker) error {
		id, lane, err := a.transfer([]string{"late"}, 1, 0, 7)
		if err != nil {
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"offer_cancel","id":%q}`, id)); err != nil {
			return err
		}
		time.Sleep(500 * time.Millisecond)
		_, _ = lane.Write(block(0, entry(0, "late", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		_, _ = io.Copy(io.Discard, lane)
		return a.nothingStored()
	}},
	{moving, "a file with the name of an existing one", "numbered, and the old one stays", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"victim.txt"}, 1, 0, 7)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(0, "victim.txt", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		kind, err := result(lane)
		if err == nil && kind != 'R' {
			err = fmt.Errorf("answered by %q", kind)
		}
		return err
	}},
	{moving, "a file that takes effect when listed", "stored inert", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"x.desktop"}, 1, 0, 7)
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, entry(0, "x.desktop", 7, ""), data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		if _, err := result(lane); err != nil {
			return err
		}
		if _, err := os.Stat(filepath.Join(a.v.dir, "inbox", "x.desktop.inert")); err != nil {
			return err
		}
		return nil
	}},
	{moving, "a folder that is a repository", "stored inert", repository("photos/.git/", "photos", "photos/.git", "photos/.git/objects", "photos/.git/refs")},
	{moving, "a folder that is a repository without the name", "stored inert", repository("bare/", "bare", "bare/objects", "bare/refs")},
	{moving, "names that make the folder itself a repository", "stored inert", repository("", "objects", "refs")},
	{moving, "an executable", "stored without its bit", func(a *attacker) error {
		_, lane, err := a.transfer([]string{"run.sh"}, 1, 0, 7)
		if err != nil {
			return err
		}
		e := entry(0, "run.sh", 7, "")
		e[3] = 1 // flags, after the type, the length and the kind
		_, _ = lane.Write(block(0, e, data(0, 0), chunk(0, "payload"), record('F'), end(1, 0, 0, 7)))
		if _, err := result(lane); err != nil {
			return err
		}
		info, err := os.Stat(filepath.Join(a.v.dir, "inbox", "run.sh"))
		if err == nil && info.Mode()&0o111 != 0 {
			err = fmt.Errorf("mode %v", info.Mode())
		}
		return err
	}},
}

// attempts breaks off several attempts at one transfer, each with another name: the accepted size must not add up.
func attempts(a *attacker) error {
	if err := a.connect(); err != nil {
		return err
	}
	const size, parts = 8 << 20, 64
	id, part := hexID(), strings.Repeat("x", size/parts)
	inbox := filepath.Join(a.v.dir, "inbox")
	before := bytesBelow(inbox)
	for n := 1; n <= 4; n++ {
		if err := a.offerAttempt(id, []string{"d"}, 1, 1, size, n); err != nil {
			return err
		}
		c, lane, err := a.laneAttempt(id, "", n)
		if err != nil {
			return err
		}
		go func() { _, _ = io.Copy(io.Discard, lane) }()
		_, _ = lane.Write(block(0, entry(1, "d", 0, ""), entry(0, fmt.Sprintf("d/%d", n), size, ""), data(0, 0)))
		for i := range parts {
			_, _ = lane.Write(block(uint64(i+1), chunk(uint64(i*len(part)), part)))
			time.Sleep(2 * time.Millisecond)
		}
		came := filepath.Join(inbox, ".multipeer-partial", id, "data", "d", fmt.Sprint(n))
		for end := time.Now().Add(3 * time.Second); time.Now().Before(end) && bytesBelow(came) < size; {
			time.Sleep(10 * time.Millisecond)
		}
		if got := bytesBelow(came); got < size {
			return fmt.Errorf("attempt %d brought %d bytes", n, got)
		}
		if got := bytesBelow(inbox) - before; got > size+size/4 {
			return fmt.Errorf("%d bytes are left after attempt %d", got, n)
		}
		_ = c.CloseWithError(0, "")
		time.Sleep(200 * time.Millisecond)
	}
	return nil
}

// bytesBelow adds up the files at and below a path.
func bytesBelow(at string) (n int64) {
	_ = filepath.WalkDir(at, func(_ string, d os.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				n += info.Size()
			}
		}
		return nil
	})
	return n
}

// manyLanes opens a lane for each of twelve accepted transfers: each may hold blocks that arrived ahead of their turn.
func manyLanes(a *attacker) error {
	if err := a.connect(); err != nil {
		return err
	}
	for n := 1; n <= 12; n++ {
		id := hexID()
		if err := a.offer(id, []string{"x"}, 1, 0, 1<<20); err != nil {
			return err
		}
		c, _, err := a.lane(id, "")
		if c != nil {
			defer func() { _ = c.CloseWithError(0, "") }()
		}
		switch {
		case err != nil && n <= 8:
			return fmt.Errorf("lane %d: %w", n, err)
		case err != nil:
			return nil
		}
	}
	return errors.New("twelve transfers have lanes")
}

// repository sends a Git repository that runs a command on each "git status", and runs that in each folder that has
// arrived.
func repository(at string, folders ...string) func(*attacker) error {
	return func(a *attacker) error {
		inbox := filepath.Join(a.v.dir, "inbox")
		ran := filepath.Join(a.v.dir, "ran")
		config := fmt.Sprintf("[core]\n\tbare = false\n\tworktree = %s\n\tfsmonitor = \"touch %s; false\"\n", inbox, ran)
		const head = "ref: refs/heads/main\n"
		var names []string
		var records [][]byte
		for _, f := range folders {
			if !strings.Contains(f, "/") {
				names = append(names, f)
			}
			records = append(records, entry(1, f, 0, ""))
		}
		if at == "" {
			names = append(names, "HEAD", "config")
		}
		size := uint64(len(head) + len(config))
		records = append(records, entry(0, at+"HEAD", uint64(len(head)), ""), data(0, 0), chunk(0, head), record('F'),
			entry(0, at+"config", uint64(len(config)), ""), data(1, 0), chunk(0, config), record('F'), end(2, uint64(len(folders)), 0, size))
		_, lane, err := a.transfer(names, 2, int64(len(folders)), int64(size))
		if err != nil {
			return err
		}
		_, _ = lane.Write(block(0, records...))
		if kind, err := result(lane); err != nil || kind != 'R' {
			return fmt.Errorf("answered by %q, %w", kind, err)
		}
		defer func() { // what may be stored
			for _, name := range append(names, "HEAD.inert") {
				_ = os.RemoveAll(filepath.Join(inbox, name))
			}
		}()
		return filepath.WalkDir(inbox, func(p string, d os.DirEntry, err error) error {
			if err != nil || !d.IsDir() {
				return nil //nolint:nilerr // an earlier transfer has removed its own files
			}
			if _, err := os.Stat(filepath.Join(p, ".git")); err == nil {
				return fmt.Errorf("%s has a .git", p)
			}
			if _, err := os.Stat(filepath.Join(p, "HEAD")); err == nil {
				return fmt.Errorf("%s has a HEAD", p)
			}
			status := exec.Command("git", "status")
			status.Dir = p
			_ = status.Run() // even if git is not installed
			if _, err := os.Stat(ran); err == nil {
				return fmt.Errorf("git status in %s has run what was sent", p)
			}
			return nil
		})
	}
}
