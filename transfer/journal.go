package transfer

import (
	"bufio"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"os"
	"time"

	"golang.org/x/text/cases"
)

// The journal of a transfer is stored next to its staged data, on the same volume, and records which of that data is
// good. It is a file to which records are appended: type, length, body, CRC-32C. A truncated or damaged record ends the
// journal.
//
// There are two levels of durability. Written data survives a crash of this program, because the system keeps it. Only
// synced data survives a power cut, and a record marks each sync. So a journal written since the current boot counts in
// full, and an older one only up to what its last such record covers. bbolt, which holds the rest of the program's
// state, has to sync at each commit: otherwise a power cut can corrupt it.
const (
	jourStart   = 'T' // first: the key of the transfer
	jourBoot    = 'B' // the boot in which the following records were written
	jourEntry   = 'E' // an entry is staged; all kinds except files are complete with it
	jourAt      = 'P' // how much of the current file is verified
	jourWhole   = 'F' // the file is complete
	jourGone    = 'X' // the entry is no longer wanted
	jourSynced  = 'S' // everything before the given offset is durable
	jourNote    = 'N' // a note for the sender, sent with the receipt
	jourNotes   = 'M' // start of the notes of the whole transfer: those before it were about single files
	jourDiffers = 'D' // a file was compared with the existing one of its name and differs
	jourSame    = 'I' // a top-level file already exists
	jourMerge   = 'G' // how a top-level entry is merged into, or replaces, the existing one; before the end
	jourEnd     = 'Z' // everything has arrived and is durable; what is published follows from the entries
	jourPublish = 'U' // a top-level entry, or a folder that is moved as a whole while merging, gets this name now
	jourDone    = 'V' // everything is published: the receipt
)

const (
	journalName = "journal"
	// maxJournal is the maximum length of a journal that is read; a longer one is not ours.
	maxJournal = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// journal appends records to a journal file. Its owner calls it from one goroutine.
type journal struct {
	f    *os.File
	buf  []byte
	size int64 // bytes written
}

func (j *journal) put(kind byte, body ...[]byte) {
	at := len(j.buf)
	j.buf = putRecord(j.buf, kind, body...)
	j.buf = binary.BigEndian.AppendUint32(j.buf, crc32.Checksum(j.buf[at:], castagnoli))
}

// held describes the stored data of an entry, according to the journal. There may be a million of them.
type held struct {
	path  string // the sender's path
	saved string // our path; the same string if it does not differ
	size  int64
	mod   int64 // modification time in seconds, and nanoseconds
	nanos int32
	stamp uint64
	pos   int64 // verified bytes; all of them if the file is complete
	tail  *tail // for a file that is incomplete
	kind  kind
	exec  bool
	whole bool
	fresh bool // recorded after the last sync
	gone  bool // not wanted any more
	seen  bool // this attempt has announced it again, or discarded it
}

// tail is the length of the last verified bytes, and their digest.
type tail struct {
	n   int64
	sum digest
}

// is reports whether e is still the entry that h describes.
func (h *held) is(e entry) bool {
	return h.kind == e.kind && h.size == e.size && h.stamp == e.stamp && h.mod == e.modTime.Unix() && h.nanos == int32(e.modTime.Nanosecond())
}

// forget marks h as gone, and drops what was recorded about its content.
func (h *held) forget() { h.pos, h.whole, h.tail, h.fresh, h.gone = 0, false, nil, false, true }

// notesOf returns the notes about an entry, by the sender's path. All notes must have been read.
func (h *history) notesOf(path string) []Note {
	if h.notes == nil {
		h.notes = map[string][]Note{}
		for _, n := range h.noted.Notes {
			h.notes[n.Path] = append(h.notes[n.Path], n)
		}
	}
	return h.notes[path]
}

// history is the content of a journal.
type history struct {
	entries   map[string]*held // by the sender's path
	order     []*held
	under     *held // the current file
	ended     *Totals
	unchanged int64
	noted     Result            // the notes, and how many there are of each kind
	notes     map[string][]Note // see notesOf
	differ    map[string]string // by the collision key of our path: files that were compared and differ
	fold      cases.Caser
	same      map[string]*held    // top-level files that already existed, by our path
	merging   map[string]Existing // by our path: how top-level entries are merged
	published map[string]string   // by our path: the final names of entries whose publishing has begun
	done      bool
	size      int64  // length of the valid part
	durable   int64  // length of the synced part
	boot      string // the boot that wrote last
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
	h := &held{path: e.path, saved: e.path, size: e.size, mod: e.modTime.Unix(), nanos: int32(e.modTime.Nanosecond()), stamp: e.stamp, kind: e.kind, exec: e.exec}
	if n < int64(len(d.b)) {
		h.saved = string(d.b[n:])
	}
	return h, nil
}

// entry returns the entry as it was announced, without a link's target.
func (h *held) entry() entry {
	return entry{kind: h.kind, exec: h.exec, size: h.size, modTime: time.Unix(h.mod, int64(h.nanos)), stamp: h.stamp, path: h.path}
}

// scan calls each with every good record, in order, until each returns false.
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

// notEOF returns err if the disk failed. A journal that ends inside a record is the result of a crash.
func notEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

// readJournal reads the valid part of a journal: everything written since this boot, and what was synced before. It
// returns nil if the journal is empty or belongs to another transfer.
func readJournal(r io.ReadSeeker, key, boot string) (*history, error) {
	h := &history{fold: cases.Fold(), differ: map[string]string{}, same: map[string]*held{}, entries: map[string]*held{}, published: map[string]string{}, merging: map[string]Existing{}}
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
		case jourEnd, jourDone, jourPublish: // everything before these was synced before they were written
			h.durable = end
		}
		return true
	})
	if err != nil || !ours {
		return nil, err
	}
	h.size = h.durable
	if boot != "" && h.boot == boot {
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

// apply processes one record.
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
			h.under.pos = h.under.size
			h.under.whole = true
			h.under.tail = nil
			h.under.fresh = h.under.fresh || fresh
		}
	case jourGone:
		if e := h.entries[string(body)]; e != nil {
			e.forget()
		}
	case jourNote:
		n, err := decodeNote(body)
		if err != nil {
			return err
		}
		if h.ended == nil {
			h.noted.Notes = append(h.noted.Notes, n)
		} else { // the note was made while publishing
			h.noted.note(n)
		}
	case jourNotes:
		h.noted = Result{}
	case jourDiffers:
		h.differ[collisionKey(h.fold, string(body))] = string(body)
	case jourSame:
		e, err := decodeHeld(body)
		if err != nil {
			return err
		}
		h.same[e.saved] = e
	case jourMerge:
		if len(body) < 2 || Existing(body[0]) != SkipIdentical && Existing(body[0]) != Replace {
			return badRecord(kind)
		}
		h.merging[string(body[1:])] = Existing(body[0])
	case jourDone:
		h.done = true
	case jourEnd: // the last one counts: entries that cannot be published are subtracted from the totals
		h.unchanged = d.count()
		h.noted.Renamed, h.noted.LeftOut, h.noted.Unkept = d.count(), d.count(), d.count()
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
		h.published[n.Path] = n.Saved
	}
	if d.bad {
		return badRecord(kind)
	}
	return nil
}

// bytes returns how many bytes and complete files are stored.
func (h *history) bytes() (n, files int64) {
	for _, e := range h.order {
		n += e.pos
		if e.whole && e.kind == kindFile {
			files++
		}
	}
	return n, files
}
