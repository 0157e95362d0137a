package transfer

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

// A record is its type, the length of its body as a uvarint, and the body. PROTOCOL.md gives the layout of each.
const (
	// from the sender
	recEntry   = 'E'
	recChunk   = 'C'
	recFileEnd = 'F'
	recDropped = 'X' // the file under way is given up
	recSkipped = 'S' // something that is not sent at all
	recEnd     = 'Z'
	// from the receiver
	recProgress = 'P'
	recNote     = 'N'
	recReceipt  = 'R'
	// from either
	recAbort = 'A'
)

const (
	maxSmall = 4 << 10 // body of any record but a chunk
	maxChunk = sha256.Size + ChunkSize
)

type digest = [sha256.Size]byte

// entry is one file or folder of the manifest.
type entry struct {
	folder  bool
	exec    bool
	size    int64
	modTime time.Time
	path    string // raw, as the sender has it
}

const (
	kindFile   = 0
	kindFolder = 1
	flagExec   = 1
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

func (e entry) encode() []byte {
	kind, flags := byte(kindFile), byte(0)
	if e.folder {
		kind = kindFolder
	}
	if e.exec {
		flags |= flagExec
	}
	b := []byte{kind, flags}
	b = binary.AppendUvarint(b, uint64(e.size))
	b = binary.AppendVarint(b, e.modTime.UnixNano())
	return append(b, e.path...)
}

func decodeEntry(b []byte) (entry, error) {
	var e entry
	if len(b) < 2 || b[0] > kindFolder || b[1]&^flagExec != 0 {
		return e, badRecord(recEntry)
	}
	e.folder, e.exec = b[0] == kindFolder, b[1]&flagExec != 0
	d := decoder{b: b[2:]}
	e.size = d.count()
	e.modTime = time.Unix(0, d.varint())
	e.path = string(d.b)
	if d.bad || e.folder && e.size != 0 {
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

func counts(values ...int64) []byte {
	var b []byte
	for _, v := range values {
		b = binary.AppendUvarint(b, uint64(v))
	}
	return b
}

// decodeTotals reads the body of an end or a receipt.
func decodeTotals(b []byte) (Totals, error) {
	d := decoder{b: b}
	t := Totals{Files: d.count(), Folders: d.count(), Bytes: d.count()}
	if d.bad || len(d.b) != 0 {
		return t, badRecord(recEnd)
	}
	return t, nil
}

// recordReader reads records. The body is valid until the next call.
type recordReader struct {
	r   *bufio.Reader
	buf []byte
}

func newRecordReader(r io.Reader) *recordReader {
	return &recordReader{r: bufio.NewReaderSize(r, 256<<10)}
}

// next reads a record into buf, or into one of its own if buf is nil. io.EOF is an end between two records.
func (r *recordReader) next(buf func(n int) []byte) (kind byte, body []byte, err error) {
	kind, err = r.r.ReadByte()
	if err != nil {
		return 0, nil, err
	}
	n, err := binary.ReadUvarint(r.r)
	if err != nil {
		return 0, nil, truncated(err)
	}
	limit := uint64(maxSmall)
	if kind == recChunk {
		limit = maxChunk
	}
	if n > limit {
		return 0, nil, fmt.Errorf("%w: record %q of %d bytes, limit %d", ErrProtocol, kind, n, limit)
	}
	if buf != nil && kind == recChunk {
		body = buf(int(n))
	} else {
		if cap(r.buf) < int(n) {
			r.buf = make([]byte, n)
		}
		body = r.buf[:n]
	}
	if _, err := io.ReadFull(r.r, body); err != nil {
		return 0, nil, truncated(err)
	}
	return kind, body, nil
}

func truncated(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// abortError is the other side's reason for giving up.
func abortError(body []byte) error {
	if len(body) == 0 {
		return badRecord(recAbort)
	}
	return reasonErr(body[0])
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
