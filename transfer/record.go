package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
)

// A record is its type, the length of its body as a uvarint, and the body. PROTOCOL.md gives the layout of each.
const (
	// from the sender
	recEntry   = 'E' // the next entry of the tree
	recData    = 'D' // the content of a file begins, at an offset
	recChunk   = 'C'
	recHole    = 'H' // bytes that are zero and take no space
	recKeep    = 'K' // bytes that the receiver has at the same offset of the file it compared
	recFileEnd = 'F'
	recSame    = 'I' // the file that the receiver compared is identical
	recDropped = 'X' // an announced file is given up
	recSkipped = 'S' // an entry that is not sent at all
	recSums    = 'Y' // digests of a file's pieces, as the receiver requested
	recEnd     = 'Z'
	// from the receiver
	recGo       = 'G' // its first record: whether the sender must ask about each file
	recWant     = 'W' // what it wants of a file
	recProgress = 'P'
	recNote     = 'N'
	recRefused  = 'Q' // an entry that cannot be stored here
	recReceipt  = 'R'
	// from either
	recAbort = 'A'
)

const (
	digestSize = 16
	maxSmall   = 40 << 10 // body of any record except a chunk: a list of piece digests is the largest
	maxChunk   = digestSize + binary.MaxVarintLen64 + ChunkSize
)

// digest is the digest of a chunk, XXH3 with 128 bits. It detects accidental errors between reading one disk and
// writing the other. It need not keep attackers out: the lanes authenticate every byte, and an authorized sender can
// send what it likes anyway. BLAKE3 or SHA-256 would cost as much as the encryption does.
type digest = [digestSize]byte

func digestOf(b []byte) digest { return xxh3.Hash128(b).Bytes() }

// pieceDigest is the BLAKE3 digest of a piece of a file that two sides compare. Here equal digests must mean equal
// content, even if the files were made to collide.
type pieceDigest = [32]byte

// kind is the kind of an entry.
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
	steady  bool // no later version of the file can have the same stamp
	size    int64
	modTime time.Time
	stamp   uint64 // identifies the state of the source: it differs if the file has changed
	path    string // raw, as the sender has it
	target  string // of a link
}

func (e entry) folder() bool { return e.kind == kindFolder }

// totals returns the totals of e alone.
func (e entry) totals() Totals {
	switch e.kind {
	case kindFolder:
		return Totals{Folders: 1}
	case kindLink:
		return Totals{Links: 1}
	}
	return Totals{Files: 1, Bytes: e.size}
}

// The flags of an entry.
const (
	flagExec   = 1
	flagSteady = 2
)

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

// encode encodes an entry: its path as the number of bytes shared with the previous one, and the rest.
func (e entry) encode(before string) []byte {
	flags := byte(0)
	if e.exec {
		flags |= flagExec
	}
	if e.steady {
		flags |= flagSteady
	}
	b := append(make([]byte, 0, 64), byte(e.kind), flags)
	b = binary.AppendUvarint(b, uint64(e.size))
	b = binary.AppendVarint(b, e.modTime.Unix())
	b = binary.AppendUvarint(b, uint64(e.modTime.Nanosecond()))
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
	if len(b) < 2 || kind(b[0]) > kindLink || b[1]&^(flagExec|flagSteady) != 0 {
		return e, badRecord(recEntry)
	}
	e.kind, e.exec, e.steady = kind(b[0]), b[1]&flagExec != 0, b[1]&flagSteady != 0
	d := decoder{b: b[2:]}
	e.size = d.count()
	seconds, nanos := d.varint(), d.count()
	if nanos >= int64(time.Second) {
		d.bad = true
	}
	e.modTime = time.Unix(seconds, nanos)
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

// end reports whether everything was read and is valid.
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

// want is what the receiver requests of an announced file.
type want struct {
	have      bool   // nothing: it is already here
	identical bool   // nothing: the compared file is identical
	digests   bool   // the digests of its pieces first
	from      int64  // the rest from here on
	last      digest // of the bytes before from; lastN is how many
	lastN     int64
	piece     int64  // size of a piece
	equal     []byte // one bit per piece, the lowest first: set if it is the same here
}

const (
	wantRest      = 0
	wantNothing   = 1
	wantDigests   = 2
	wantIdentical = 3
	wantDiffering = 4
	maxPieces     = 1024
)

// same reports whether the receiver has an identical piece at off.
func (w want) same(off int64) bool {
	if w.piece == 0 {
		return false
	}
	i := off / w.piece
	return i/8 < int64(len(w.equal)) && w.equal[i/8]>>(i%8)&1 == 1
}

func (w want) encode(index int64) []byte {
	b := counts(index)
	switch {
	case w.have:
		return append(b, wantNothing)
	case w.identical:
		return append(b, wantIdentical)
	case w.digests:
		return binary.AppendUvarint(append(b, wantDigests), uint64(w.piece))
	case len(w.equal) > 0:
		b = binary.AppendUvarint(append(b, wantDiffering), uint64(w.piece))
		return append(b, w.equal...)
	}
	b = append(b, wantRest)
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
	case wantIdentical:
		w.identical = true
	case wantDigests:
		w.digests, w.piece = true, d.count()
		d.bad = d.bad || w.piece < minPiece
	case wantDiffering:
		w.piece = d.count()
		w.equal = d.b
		d.bad = d.bad || w.piece < minPiece || len(w.equal) == 0 || len(w.equal) > maxPieces/8
		d.b = nil
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
	w.equal = slices.Clone(w.equal) // the block is reused
	return index, w, nil
}

// minPiece is the smallest piece of a file that is compared on its own.
const minPiece = 1 << 20

// pieceFor returns the piece size for a file: there are at most maxPieces pieces.
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
		return 0, nil, false, fmt.Errorf("%w: record %q has %d bytes, more than allowed", ErrProtocol, kind, n)
	}
	body = r.b[1+used:][:n]
	r.b = r.b[1+used+int(n):]
	return kind, body, true, nil
}

// fromOther flags a note, or the reason of an abort, whose cause was found by its reader rather than its sender.
const fromOther = 1

// encodeAbort encodes why one side gives up, at which entry, and which side found the cause.
func encodeAbort(err error) []byte {
	b := []byte{reasonOf(err), 0}
	var f *Failure
	if !errors.As(err, &f) {
		return b
	}
	if f.Remote {
		b[1] = fromOther
	}
	return append(b, f.Path[:min(len(f.Path), MaxPath)]...)
}

// abortError returns the other side's reason for giving up.
func abortError(body []byte) error {
	if len(body) < 2 || len(body) > 2+MaxPath || body[1]&^fromOther != 0 {
		return badRecord(recAbort)
	}
	return &Failure{Path: string(body[2:]), Remote: body[1]&fromOther == 0, Err: reasonErr(body[0])}
}

// encodeNote encodes the name under which an entry was saved; without a name, why it was not; with both, which
// property of it was not kept.
func encodeNote(n Note) []byte {
	b := []byte{noReason, 0}
	if n.Err != nil {
		b[0] = reasonOf(n.Err)
	}
	if n.Remote {
		b[1] = fromOther
	}
	b = binary.AppendUvarint(b, uint64(len(n.Path)))
	b = append(b, n.Path...)
	return append(b, n.Saved...)
}

// noReason is the reason of a note that has none.
const noReason = 255

// decodeNote reads a note from its writer's point of view: Remote marks a note that the writer received from this side.
func decodeNote(b []byte) (Note, error) {
	if len(b) < 2 || b[1]&^fromOther != 0 {
		return Note{}, badRecord(recNote)
	}
	d := decoder{b: b[2:]}
	n := d.count()
	if d.bad || n > int64(len(d.b)) || b[0] == noReason && int64(len(d.b)) == n {
		return Note{}, badRecord(recNote)
	}
	if n > MaxPath || len(d.b) > 5*MaxPath { // guard: note-size
		return Note{}, badRecord(recNote)
	}
	note := Note{Path: string(d.b[:n]), Saved: string(d.b[n:]), Remote: b[1]&fromOther != 0}
	if b[0] != noReason {
		note.Err = reasonErr(b[0])
	}
	return note, nil
}

// encodeRefused encodes what cannot be stored: one file by its number, or, with -1, an entry and everything below it.
func encodeRefused(t Totals, index int64, why error, path string) []byte {
	b := append(counts(index+1), t.encode()...)
	return append(append(b, reasonOf(why)), path...)
}

// refusal is what the receiver cannot store: an entry, or an entry and everything below it.
type refusal struct {
	index  int64 // number of the file, or -1 for an entry that is not a file
	totals Totals
	note   Note
}

func decodeRefused(b []byte) (refusal, error) {
	d := decoder{b: b}
	f := refusal{index: d.count() - 1}
	f.totals = Totals{Files: d.count(), Folders: d.count(), Links: d.count(), Bytes: d.count()}
	if d.bad || len(d.b) < 2 || len(d.b) > 1+MaxPath {
		return refusal{}, badRecord(recRefused)
	}
	f.note = Note{Path: string(d.b[1:]), Err: reasonErr(d.b[0]), Remote: true}
	return f, nil
}
