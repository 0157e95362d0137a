package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"
)

// The journal of a transfer lies beside what has arrived of it, on the same volume, and says what of that is good. It
// is a file to which records are appended: type, length, body, CRC-32C. A record that is cut or damaged ends it.
//
// Two strengths of memory are kept apart. What was written survives the death of this program at once, for it is the
// system that keeps it. What survives a power cut is what was synced, and a record says so after the sync. So a
// journal of the same run of the system counts whole, and one of an earlier run up to what its last such record
// covers. bbolt, which keeps the rest of the program's state, syncs at each commit or may be torn by a power cut.
const (
	jourStart   = 'T' // first: the key of the transfer
	jourBoot    = 'B' // the run of the system in which what follows was written
	jourEntry   = 'E' // an entry is staged; all but files are whole with it
	jourAt      = 'P' // so much of the file under way is verified
	jourWhole   = 'F' // the file is whole
	jourGone    = 'X' // the entry is not wanted any more
	jourSynced  = 'S' // what stands before the offset named is durable
	jourEnd     = 'Z' // all has arrived and is durable; what is published follows from the entries
	jourPublish = 'U' // a top-level entry gets this name now
	jourDone    = 'V' // all is published: the receipt
)

const (
	journalName = "journal"
	// maxJournal is the longest journal that is read; a longer one is no longer one of ours.
	maxJournal = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal appends to one. Its owner calls it from one goroutine, but for synced.
type journal struct {
	f    *os.File
	buf  []byte
	size int64 // that is written
}

func (j *journal) put(kind byte, body ...[]byte) {
	at := len(j.buf)
	j.buf = putRecord(j.buf, kind, body...)
	j.buf = binary.BigEndian.AppendUint32(j.buf, crc32.Checksum(j.buf[at:], castagnoli))
}

// held is what a journal says is here of an entry. There may be a million of them.
type held struct {
	path  string // the sender's
	saved string // ours; the same string where it does not differ
	size  int64
	mod   int64 // nanoseconds
	stamp uint64
	pos   int64 // verified bytes; all of them if it is whole
	tail  *tail // of a file under way
	kind  kind
	exec  bool
	whole bool
	fresh bool // said after the last sync
	seen  bool // announced again in this attempt
}

// tail is the last bytes that are verified, and their digest.
type tail struct {
	n   int64
	sum digest
}

// is tells whether e is still what h is of.
func (h *held) is(e entry) bool {
	return h.kind == e.kind && h.size == e.size && h.stamp == e.stamp && h.mod == e.modTime.UnixNano()
}

// forget makes h nothing.
func (h *held) forget() { h.pos, h.whole, h.tail, h.fresh = 0, false, nil, false }

// history is what a journal says.
type history struct {
	entries   map[string]*held // by the sender's path
	order     []*held
	under     *held // the file under way
	ended     *Totals
	unchanged int64
	tops      []string          // staged paths whose publishing has begun, in order
	published map[string]string // and their final names
	done      bool
	size      int64  // of the part that counts
	durable   int64  // of the part that was synced
	boot      string // the run of the system that wrote last
}

func encodeHeld(e entry, saved string) []byte {
	b := e.encode("")
	out := binary.AppendUvarint(make([]byte, 0, len(b)+len(saved)+4), uint64(len(b)))
	out = append(out, b...)
	if saved == e.path {
		saved = ""
	}
	return append(out, saved...)
}

func decodeHeld(b []byte) (*held, error) {
	d := decoder{b: b}
	n := d.count()
	if d.bad || n > int64(len(d.b)) {
		return nil, badRecord(jourEntry)
	}
	e, err := decodeEntry(d.b[:n], "")
	if err != nil {
		return nil, err
	}
	h := &held{path: e.path, saved: e.path, size: e.size, mod: e.modTime.UnixNano(), stamp: e.stamp, kind: e.kind, exec: e.exec}
	if n < int64(len(d.b)) {
		h.saved = string(d.b[n:])
	}
	return h, nil
}

// entry is what h was announced as, but for a link's target.
func (h *held) entry() entry {
	return entry{kind: h.kind, exec: h.exec, size: h.size, modTime: time.Unix(0, h.mod), stamp: h.stamp, path: h.path}
}

// scan calls each with every good record, in order, until it returns false.
func scan(r io.Reader, each func(kind byte, body []byte, end int64) bool) error {
	in := bufio.NewReaderSize(io.LimitReader(r, maxJournal), 64<<10)
	var buf []byte
	for end := int64(0); ; {
		kind, err := in.ReadByte()
		if err != nil {
			return notEOF(err)
		}
		n, err := binary.ReadUvarint(in)
		if err != nil || n > maxSmall {
			return notEOF(err)
		}
		head := binary.AppendUvarint([]byte{kind}, n)
		buf = append(buf[:0], head...)
		buf = append(buf, make([]byte, n+4)...)
		if _, err := io.ReadFull(in, buf[len(head):]); err != nil {
			return notEOF(err)
		}
		whole := len(buf) - 4
		if binary.BigEndian.Uint32(buf[whole:]) != crc32.Checksum(buf[:whole], castagnoli) {
			return nil
		}
		if end += int64(len(buf)); !each(kind, buf[len(head):whole], end) {
			return nil
		}
	}
}

// notEOF is an error of the disk; a journal that ends inside a record is what a crash leaves.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// readJournal reads what counts of a journal: all that was written in this run of the system, and what was synced
// before. It is nil if the journal is empty or that of another transfer.
func readJournal(r io.ReadSeeker, key, boot string) (*history, error) {
	h := &history{entries: map[string]*held{}, published: map[string]string{}}
	var good int64
	ours := false
	err := scan(r, func(kind byte, body []byte, end int64) bool {
		if good == 0 && (kind != jourStart || string(body) != key) {
			return false
		}
		ours, good = true, end
		switch kind {
		case jourBoot:
			h.boot = string(body)
		case jourSynced:
			if len(body) == 8 {
				h.durable = min(end, int64(binary.BigEndian.Uint64(body)))
			}
		case jourEnd, jourDone, jourPublish: // all before these was synced before they were written
			h.durable = end
		}
		return true
	})
	if err != nil || !ours {
		return nil, err
	}
	if h.size = h.durable; boot != "" && h.boot == boot {
		h.size = good
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	var bad error
	err = scan(r, func(kind byte, body []byte, end int64) bool {
		if end <= h.size {
			bad = h.apply(kind, body, end > h.durable)
		}
		return end < h.size && bad == nil
	})
	if err == nil {
		err = bad
	}
	return h, err
}

// apply takes one record.
func (h *history) apply(kind byte, body []byte, fresh bool) error {
	d := decoder{b: body}
	switch kind {
	case jourEntry:
		e, err := decodeHeld(body)
		if err != nil {
			return err
		}
		e.whole, e.fresh = e.kind != kindFile, fresh
		if old := h.entries[e.path]; old != nil {
			*old = *e
			e = old
		} else {
			h.entries[e.path] = e
			h.order = append(h.order, e)
		}
		if e.kind == kindFile { // folders may be announced in between
			h.under = e
		}
	case jourAt:
		pos, n, sum := d.count(), d.count(), d.digest()
		if h.under != nil {
			h.under.pos, h.under.tail, h.under.fresh = pos, &tail{n, sum}, h.under.fresh || fresh
		}
	case jourWhole:
		if h.under != nil {
			h.under.pos, h.under.whole, h.under.tail, h.under.fresh = h.under.size, true, nil, h.under.fresh || fresh
		}
	case jourGone:
		if e := h.entries[string(body)]; e != nil {
			e.forget()
		}
	case jourEnd:
		h.unchanged = d.count()
		t, err := decodeTotals(d.b)
		if err != nil {
			return err
		}
		h.ended = &t
	case jourPublish:
		n, err := decodeNote(body)
		if err != nil {
			return err
		}
		if _, twice := h.published[n.Path]; !twice {
			h.tops = append(h.tops, n.Path)
		}
		h.published[n.Path] = n.Saved
	case jourDone:
		h.done = true
	}
	if d.bad {
		return badRecord(kind)
	}
	return nil
}

// bytes adds up what is here.
func (h *history) bytes() (n, files int64) {
	for _, e := range h.order {
		n += e.pos
		if e.whole && e.kind == kindFile {
			files++
		}
	}
	return n, files
}
