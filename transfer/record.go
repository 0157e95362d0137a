package transfer

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/zeebo/xxh3"
)

// A record is its type, the length of its body as a uvarint, and the body. PROTOCOL.md gives the layout of each.
const (
	// from the sender
	recEntry   = 'E' // what comes next in the tree
	recData    = 'D' // the content of a file begins, from an offset on
	recChunk   = 'C'
	recHole    = 'H' // bytes that are zero and take no room
	recKeep    = 'K' // bytes that the receiver has at the same place of the file it compared
	recFileEnd = 'F'
	recSame    = 'I' // the file that the receiver compared is identical
	recDropped = 'X' // a file that was announced is given up
	recSkipped = 'S' // something that is not sent at all
	recEnd     = 'Z'
	// from the receiver
	recGo       = 'G' // its first record: whether it wants to be asked about each file
	recWant     = 'W' // what it wants of a file
	recProgress = 'P'
	recNote     = 'N'
	recReceipt  = 'R'
	// from either
	recAbort = 'A'
)

const (
	digestSize = 16
	maxSmall   = 40 << 10 // body of any record: a list of piece digests is the largest but for a chunk
	maxChunk   = digestSize + binary.MaxVarintLen64 + ChunkSize
)

// digest is of a chunk, XXH3 with 128 bits. It finds what goes wrong by accident between reading the one disk and
// writing the other; attackers are kept out by the lanes, whose every byte is authenticated, and who may send can send
// what it likes. BLAKE3, or SHA-256, would cost as much as the encryption does.
type digest = [digestSize]byte

func digestOf(b []byte) digest { return xxh3.Hash128(b).Bytes() }

// pieceDigest is of a piece of a file that two sides compare, BLAKE3: there equal digests stand for equal content, and
// whoever made the files may want them to deceive.
type pieceDigest = [32]byte

// kind is what an entry is.
type kind byte

const (
	kindFile kind = iota
	kindFolder
	kindLink
)

// entry is one file, folder or link of the manifest.
type entry struct {
	kind    kind
	exec    bool
	size    int64
	modTime time.Time
	stamp   uint64 // of the source: it differs if the file is not what it was
	path    string // raw, as the sender has it
	target  string // of a link
}

func (e entry) folder() bool { return e.kind == kindFolder }

const flagExec = 1

func putRecord(dst []byte, kind byte, body ...[]byte) []byte {
	n := 0
	for _, b := range body {
		n += len(b)
	}
	dst = append(dst, kind)
	dst = binary.AppendUvarint(dst, uint64(n))
	for _, b := range body {
		dst = append(dst, b...)
	}
	return dst
}

// encode writes an entry; its path as what it shares with the one before, and the rest.
func (e entry) encode(before string) []byte {
	flags := byte(0)
	if e.exec {
		flags |= flagExec
	}
	b := append(make([]byte, 0, 64), byte(e.kind), flags)
	b = binary.AppendUvarint(b, uint64(e.size))
	b = binary.AppendVarint(b, e.modTime.UnixNano())
	b = binary.BigEndian.AppendUint64(b, e.stamp)
	same := 0
	for same < len(before) && same < len(e.path) && before[same] == e.path[same] {
		same++
	}
	b = binary.AppendUvarint(b, uint64(same))
	b = binary.AppendUvarint(b, uint64(len(e.path)-same))
	b = append(b, e.path[same:]...)
	return append(b, e.target...)
}

func decodeEntry(b []byte, before string) (entry, error) {
	var e entry
	if len(b) < 2 || kind(b[0]) > kindLink || b[1]&^flagExec != 0 {
		return e, badRecord(recEntry)
	}
	e.kind, e.exec = kind(b[0]), b[1]&flagExec != 0
	d := decoder{b: b[2:]}
	e.size = d.count()
	e.modTime = time.Unix(0, d.varint())
	e.stamp = d.fixed()
	same, n := d.count(), d.count()
	if d.bad || same > int64(len(before)) || n > int64(len(d.b)) || same+n > 4*MaxPath {
		return e, badRecord(recEntry)
	}
	e.path = before[:same] + string(d.b[:n])
	e.target = string(d.b[n:])
	if e.kind != kindFile && e.size != 0 || (e.kind == kindLink) != (e.target != "") {
		return e, badRecord(recEntry)
	}
	return e, nil
}

func badRecord(kind byte) error { return fmt.Errorf("%w: record %q", ErrProtocol, kind) }

// decoder reads the numbers at the front of a body.
type decoder struct {
	b   []byte
	bad bool
}

// count reads a uvarint that fits an int64.
func (d *decoder) count() int64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<62 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return int64(v)
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) fixed() uint64 {
	if len(d.b) < 8 {
		d.bad, d.b = true, nil
		return 0
	}
	v := binary.BigEndian.Uint64(d.b)
	d.b = d.b[8:]
	return v
}

func (d *decoder) digest() (out digest) {
	if len(d.b) < digestSize {
		d.bad, d.b = true, nil
		return out
	}
	copy(out[:], d.b)
	d.b = d.b[digestSize:]
	return out
}

func (d *decoder) pieceDigest() (out pieceDigest) {
	if len(d.b) < len(out) {
		d.bad, d.b = true, nil
		return out
	}
	copy(out[:], d.b)
	d.b = d.b[len(out):]
	return out
}

// end tells whether all was read and good.
func (d *decoder) end() bool { return !d.bad && len(d.b) == 0 }

func counts(values ...int64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

func (t Totals) encode() []byte { return counts(t.Files, t.Folders, t.Links, t.Bytes) }

// decodeTotals reads the body of an end or a receipt.
func decodeTotals(b []byte) (Totals, error) {
	d := decoder{b: b}
	t := Totals{Files: d.count(), Folders: d.count(), Links: d.count(), Bytes: d.count()}
	if !d.end() {
		return t, badRecord(recEnd)
	}
	return t, nil
}

// want is what the receiver wants of a file that was announced.
type want struct {
	have   bool   // nothing: it is here
	from   int64  // the rest from here on
	last   digest // of the bytes before from, and how many those are
	lastN  int64
	piece  int64         // or: compare with pieces of this size
	pieces []pieceDigest // of what is here
}

const (
	wantRest    = 0
	wantNothing = 1
	wantCompare = 2
	maxPieces   = 1024
)

func (w want) encode(index int64) []byte {
	switch {
	case w.have:
		return append(counts(index), wantNothing)
	case w.piece > 0:
		b := append(counts(index), wantCompare)
		b = binary.AppendUvarint(b, uint64(w.piece))
		for _, d := range w.pieces {
			b = append(b, d[:]...)
		}
		return b
	}
	b := append(counts(index), wantRest)
	b = append(b, counts(w.from, w.lastN)...)
	if w.lastN > 0 {
		b = append(b, w.last[:]...)
	}
	return b
}

func decodeWant(b []byte) (index int64, w want, err error) {
	d := decoder{b: b}
	index = d.count()
	if d.bad || len(d.b) == 0 {
		return 0, w, badRecord(recWant)
	}
	verdict := d.b[0]
	d.b = d.b[1:]
	switch verdict {
	case wantNothing:
		w.have = true
	case wantCompare:
		w.piece = d.count()
		for len(d.b) > 0 && len(w.pieces) < maxPieces {
			w.pieces = append(w.pieces, d.pieceDigest())
		}
		if w.piece < minPiece {
			d.bad = true
		}
	case wantRest:
		w.from, w.lastN = d.count(), d.count()
		if w.lastN > 0 {
			w.last = d.digest()
		}
		if w.lastN > w.from || w.lastN > ChunkSize {
			d.bad = true
		}
	default:
		d.bad = true
	}
	if !d.end() {
		return 0, w, badRecord(recWant)
	}
	return index, w, nil
}

// minPiece is the smallest piece of a file that is compared on its own.
const minPiece = 1 << 20

// pieceFor is how large the pieces of a file are: there are at most maxPieces of them.
func pieceFor(size int64) int64 {
	piece := int64(minPiece)
	for piece*maxPieces < size {
		piece *= 2
	}
	return piece
}

// records iterates over the records of a block. next returns false at the end.
type records struct{ b []byte }

func (r *records) next() (kind byte, body []byte, ok bool, err error) {
	if len(r.b) == 0 {
		return 0, nil, false, nil
	}
	kind = r.b[0]
	n, used := binary.Uvarint(r.b[1:])
	if used <= 0 || n > uint64(len(r.b)-1-used) { // guard: record-length
		return 0, nil, false, badRecord(kind)
	}
	if limit := uint64(maxSmall); kind != recChunk && n > limit || n > maxChunk { // guard: record-size
		return 0, nil, false, fmt.Errorf("%w: record %q of %d bytes", ErrProtocol, kind, n)
	}
	body = r.b[1+used:][:n]
	r.b = r.b[1+used+int(n):]
	return kind, body, true, nil
}

// abortError is the other side's reason for giving up.
func abortError(body []byte) error {
	if len(body) == 0 {
		return badRecord(recAbort)
	}
	return fmt.Errorf("%w (said by the other side)", reasonErr(body[0]))
}

// encodeNote tells the sender of an entry that was saved under another name.
func encodeNote(path, saved string) []byte {
	b := binary.AppendUvarint(nil, uint64(len(path)))
	b = append(b, path...)
	return append(b, saved...)
}

func decodeNote(b []byte) (Note, error) {
	d := decoder{b: b}
	n := d.count()
	if d.bad || n > int64(len(d.b)) || int64(len(d.b)) == n {
		return Note{}, badRecord(recNote)
	}
	return Note{Path: string(d.b[:n]), Saved: string(d.b[n:])}, nil
}
