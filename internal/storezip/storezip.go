// Package storezip makes ZIP archives of files on the fly: stored without compression, of known size and seekable, so
// that a browser shows progress and resumes a broken download. Local headers carry sizes and checksums and there are no
// data descriptors, which Android's ZipInputStream and macOS cannot read for stored entries. Archives and files over 4
// GB use Zip64 (APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3).
//
// A file's checksum comes before its content, so each file is read twice.
package storezip

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"sort"
	"strings"
	"sync"
	"time"
)

// File is an entry of an archive. A folder has a name that ends in a slash, no size and no Open.
type File struct {
	Name    string // UTF-8, relative, with slashes
	Size    int64
	ModTime time.Time
	// Open opens the content. The content must be the same each time; otherwise reading fails.
	Open func() (io.ReadCloser, error)
}

// ErrChanged reports a file whose content has changed.
var ErrChanged = errors.New("a file changed while the archive was being created")

const (
	most32 = 1<<32 - 1
	most16 = 1<<16 - 1

	sigLocal   = 0x04034b50
	sigCentral = 0x02014b50
	sigEnd     = 0x06054b50
	sigEnd64   = 0x06064b50
	sigLocator = 0x07064b50
	utf8Names  = 1 << 11
	version20  = 20
	version45  = 45
	madeOnUnix = 3 << 8
	modeFile   = 0o100644 << 16
	modeFolder = 0o040755<<16 | 0x10
	tagZip64   = 0x0001
	tagTime    = 0x5455
)

// Archive is an archive of files. Its methods may be called concurrently.
type Archive struct {
	files   []File
	starts  []int64 // offset of each local header
	central int64   // offset of the central directory
	size    int64

	reading sync.Mutex // held while a file is read for its checksum, so that no two requests read the same file
	mu      sync.Mutex
	sums    []uint32
	summed  []bool
	tail    []byte // the central directory and the end record, once known
}

// New returns an archive of files. It reads nothing yet.
func New(files []File) *Archive {
	a := &Archive{files: files, starts: make([]int64, len(files)), sums: make([]uint32, len(files)), summed: make([]bool, len(files))}
	for i, f := range files {
		a.starts[i] = a.central
		a.central += int64(len(a.localHeader(i, 0))) + f.Size
	}
	a.size = a.central + int64(len(a.directory()))
	return a
}

// Size returns the size of the archive in bytes.
func (a *Archive) Size() int64 { return a.size }

// dosTime returns a time as MS-DOS stores it, in two-second steps from 1980 to 2107.
func dosTime(t time.Time) (date, clock uint16) {
	t = t.UTC()
	year := min(max(t.Year(), 1980), 2107)
	return uint16((year-1980)<<9 | int(t.Month())<<5 | t.Day()), uint16(t.Hour()<<11 | t.Minute()<<5 | t.Second()/2)
}

// common appends what the two headers of a file have in common, from the version to the checksum.
func (f File) common(b []byte, version, sum int) []byte {
	date, clock := dosTime(f.ModTime)
	b = binary.LittleEndian.AppendUint16(b, uint16(version))
	b = binary.LittleEndian.AppendUint16(b, utf8Names)
	b = binary.LittleEndian.AppendUint16(b, 0) // stored
	b = binary.LittleEndian.AppendUint16(b, clock)
	b = binary.LittleEndian.AppendUint16(b, date)
	return binary.LittleEndian.AppendUint32(b, uint32(sum))
}

// timeExtra returns the extra field with the modification time in UTC.
func (f File) timeExtra() []byte {
	b := binary.LittleEndian.AppendUint16(nil, tagTime)
	b = binary.LittleEndian.AppendUint16(b, 5)
	b = append(b, 1)
	return binary.LittleEndian.AppendUint32(b, uint32(f.ModTime.Unix()))
}

func (a *Archive) localHeader(i int, sum uint32) []byte {
	f := a.files[i]
	version, size := version20, f.Size
	extra := f.timeExtra()
	if f.Size >= most32 {
		version, size = version45, most32
		extra = binary.LittleEndian.AppendUint16(extra, tagZip64)
		extra = binary.LittleEndian.AppendUint16(extra, 16)
		extra = binary.LittleEndian.AppendUint64(extra, uint64(f.Size))
		extra = binary.LittleEndian.AppendUint64(extra, uint64(f.Size))
	}
	b := binary.LittleEndian.AppendUint32(nil, sigLocal)
	b = f.common(b, version, int(sum))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, f.Name...)
	return append(b, extra...)
}

func (a *Archive) centralHeader(b []byte, i int) []byte {
	f := a.files[i]
	version, size, start := version20, f.Size, a.starts[i]
	var wide []byte
	if f.Size >= most32 {
		size = most32
		wide = binary.LittleEndian.AppendUint64(wide, uint64(f.Size))
		wide = binary.LittleEndian.AppendUint64(wide, uint64(f.Size))
	}
	if start >= most32 {
		wide = binary.LittleEndian.AppendUint64(wide, uint64(start))
		start = most32
	}
	extra := f.timeExtra()
	if wide != nil {
		version = version45
		extra = binary.LittleEndian.AppendUint16(extra, tagZip64)
		extra = binary.LittleEndian.AppendUint16(extra, uint16(len(wide)))
		extra = append(extra, wide...)
	}
	mode := uint32(modeFile)
	if strings.HasSuffix(f.Name, "/") {
		mode = modeFolder
	}
	b = binary.LittleEndian.AppendUint32(b, sigCentral)
	b = binary.LittleEndian.AppendUint16(b, madeOnUnix|version45)
	b = f.common(b, version, int(a.sums[i]))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint32(b, uint32(size))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(f.Name)))
	b = binary.LittleEndian.AppendUint16(b, uint16(len(extra)))
	b = append(b, 0, 0, 0, 0, 0, 0) // no comment, the first disk, binary
	b = binary.LittleEndian.AppendUint32(b, mode)
	b = binary.LittleEndian.AppendUint32(b, uint32(start))
	b = append(b, f.Name...)
	return append(b, extra...)
}

// directory returns the central directory and the end record. Its length does not depend on the checksums.
func (a *Archive) directory() []byte {
	var b []byte
	for i := range a.files {
		b = a.centralHeader(b, i)
	}
	count, length, start := int64(len(a.files)), int64(len(b)), a.central
	if count >= most16 || length >= most32 || start >= most32 {
		end64 := start + length
		b = binary.LittleEndian.AppendUint32(b, sigEnd64)
		b = binary.LittleEndian.AppendUint64(b, 44) // length of the rest of this record
		b = binary.LittleEndian.AppendUint16(b, madeOnUnix|version45)
		b = binary.LittleEndian.AppendUint16(b, version45)
		b = append(b, 0, 0, 0, 0, 0, 0, 0, 0) // the first disk
		b = binary.LittleEndian.AppendUint64(b, uint64(count))
		b = binary.LittleEndian.AppendUint64(b, uint64(count))
		b = binary.LittleEndian.AppendUint64(b, uint64(length))
		b = binary.LittleEndian.AppendUint64(b, uint64(start))
		b = binary.LittleEndian.AppendUint32(b, sigLocator)
		b = append(b, 0, 0, 0, 0)
		b = binary.LittleEndian.AppendUint64(b, uint64(end64))
		b = append(b, 1, 0, 0, 0) // one disk
		count, length, start = min(count, most16), min(length, most32), min(start, most32)
	}
	b = binary.LittleEndian.AppendUint32(b, sigEnd)
	b = append(b, 0, 0, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint16(b, uint16(count))
	b = binary.LittleEndian.AppendUint32(b, uint32(length))
	b = binary.LittleEndian.AppendUint32(b, uint32(start))
	return append(b, 0, 0)
}

// known returns the checksum of a file, if that does not require reading the file.
func (a *Archive) known(i int) (sum uint32, known bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.sums[i], a.summed[i] || a.files[i].Open == nil
}

// sum returns the checksum of a file. The first call reads the file.
func (a *Archive) sum(ctx context.Context, i int) (uint32, error) {
	if sum, known := a.known(i); known {
		return sum, nil
	}
	a.reading.Lock()
	defer a.reading.Unlock()
	if sum, known := a.known(i); known { // read by another request in the meantime
		return sum, nil
	}
	f := a.files[i]
	r, err := f.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	h := crc32.NewIEEE()
	n, err := io.Copy(h, readerUntil{ctx, r})
	if err != nil {
		return 0, err
	}
	if n != f.Size {
		return 0, fmt.Errorf("%w: %s", ErrChanged, f.Name)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.summed[i], a.sums[i] = true, h.Sum32()
	return a.sums[i], nil
}

// readerUntil reads from r until ctx ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// end returns the central directory and the end record. It needs the checksums of all files.
func (a *Archive) end(ctx context.Context) ([]byte, error) {
	for i := range a.files {
		if _, err := a.sum(ctx, i); err != nil {
			return nil, err
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.tail == nil {
		a.tail = a.directory()
	}
	return a.tail, nil
}

// Reader reads an archive. Its methods may be called concurrently; calls are serialized, because net/http may still
// read after the handler has returned and closed it. The caller closes it.
type Reader struct {
	ctx    context.Context
	mu     sync.Mutex // guards what follows
	closed bool
	a      *Archive
	pos    int64
	head   []byte // what is read next, if it is in memory
	file   int    // the file that is open
	open   io.ReadCloser
	offset int64 // in that file
}

// NewReader returns a reader of the whole archive, at its start. Reads fail when ctx has ended.
func (a *Archive) NewReader(ctx context.Context) *Reader { return &Reader{ctx: ctx, a: a} }

// Close closes the file that is open; later reads fail with fs.ErrClosed. It is idempotent.
func (r *Reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return r.closeFileLocked()
}

func (r *Reader) closeFileLocked() error {
	if r.open == nil {
		return nil
	}
	err := r.open.Close()
	r.open = nil
	return err
}

// Seek sets the position of the next Read.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.a.size
	}
	if offset < 0 {
		return 0, errors.New("seeking before the start")
	}
	if offset != r.pos {
		r.head = nil
	}
	r.pos = offset
	return offset, nil
}

// Read reads the archive. Errors come from the files; ErrChanged means that one has another length or content now.
func (r *Reader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return 0, fs.ErrClosed
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.pos >= r.a.size {
		return 0, io.EOF
	}
	if len(r.head) == 0 {
		if err := r.loadLocked(); err != nil {
			return 0, err
		}
	}
	if len(r.head) > 0 {
		n := copy(b, r.head)
		r.head = r.head[n:]
		r.pos += int64(n)
		return n, nil
	}
	return r.contentLocked(b)
}

// loadLocked puts the header that begins at pos into head, unless pos is in the content of a file.
func (r *Reader) loadLocked() error {
	a := r.a
	if r.pos >= a.central {
		end, err := a.end(r.ctx)
		if err != nil {
			return err
		}
		r.head = end[r.pos-a.central:]
		return nil
	}
	r.file = sort.Search(len(a.starts), func(i int) bool { return a.starts[i] > r.pos }) - 1
	within := r.pos - a.starts[r.file]
	header := a.localHeader(r.file, 0)
	if within >= int64(len(header)) {
		return nil
	}
	sum, err := a.sum(r.ctx, r.file)
	if err != nil {
		return err
	}
	r.head = a.localHeader(r.file, sum)[within:]
	return nil
}

// contentLocked reads from the file at pos.
func (r *Reader) contentLocked(b []byte) (int, error) {
	a, f := r.a, r.a.files[r.file]
	want := r.pos - a.starts[r.file] - int64(len(a.localHeader(r.file, 0)))
	if r.open == nil || r.offset != want || want == 0 {
		if err := r.openAtLocked(f, want); err != nil {
			return 0, err
		}
	}
	b = b[:min(int64(len(b)), f.Size-want)]
	n, err := r.open.Read(b)
	r.pos += int64(n)
	r.offset += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if n == 0 {
			err = fmt.Errorf("%w: %s", ErrChanged, f.Name)
		}
	}
	return n, err
}

// openAtLocked opens a file and goes to an offset in it.
func (r *Reader) openAtLocked(f File, offset int64) error {
	if err := r.closeFileLocked(); err != nil {
		return err
	}
	open, err := f.Open()
	if err != nil {
		return err
	}
	if s, can := open.(io.Seeker); can {
		_, err = s.Seek(offset, io.SeekStart)
	} else {
		_, err = io.CopyN(io.Discard, open, offset)
	}
	if err != nil {
		_ = open.Close()
		return err
	}
	r.open, r.offset = open, offset
	return nil
}
