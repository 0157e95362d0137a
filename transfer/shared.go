package transfer

import (
	"container/list"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/zeebo/xxh3"
)

// StateOf identifies the state of a file: it differs after each change, as far as the system shows that.
func StateOf(info fs.FileInfo) uint64 { return stampOf(info) }

// stamp hashes the properties that distinguish one state of a file from another.
func stamp(info fs.FileInfo, more ...uint64) uint64 {
	b := make([]byte, 0, 48)
	b = binary.BigEndian.AppendUint64(b, uint64(info.Size()))
	b = binary.BigEndian.AppendUint64(b, uint64(info.ModTime().UnixNano()))
	for _, v := range more {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return xxh3.Hash(b)
}

var errShort = errors.New("the file is shorter than it was")

// readChunk reads a chunk of the source and returns its digest.
func readChunk(f *os.File, off int64, data []byte) (digest, error) {
	if _, err := f.ReadAt(data, off); err != nil {
		if errors.Is(err, io.EOF) {
			return digest{}, errShort
		}
		return digest{}, unreadable(err)
	}
	return digestOf(data), nil
}

// sharedBytes is how much of a source is cached for Sends that read it a little later.
const sharedBytes = 32 << 20

// Shared lets several Sends of the same paths read each chunk from the disk once, as long as they stay within 32 MiB of
// each other; one that falls farther behind reads for itself and slows no one. The zero value is ready to use. Its
// methods may be called concurrently.
type Shared struct {
	mu    sync.Mutex
	kept  map[chunkKey]*list.Element
	order list.List // of *sharedChunk, newest first
	bytes int
	reads int64
}

type chunkKey struct {
	path  string
	stamp uint64
	off   int64
}

type sharedChunk struct {
	key   chunkKey
	size  int
	ready chan struct{}
	data  []byte
	sum   digest
	err   error
}

// BytesRead returns how many bytes were read from the disk.
func (s *Shared) BytesRead() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.reads
}

// chunk fills data from the file, or from what another Send of the same paths has read.
func (s *Shared) chunk(it item, f *os.File, off int64, data []byte) (digest, error) {
	if s == nil {
		return readChunk(f, off, data)
	}
	key := chunkKey{it.path, it.stamp, off}
	s.mu.Lock()
	if e, ok := s.kept[key]; ok {
		s.order.MoveToFront(e)
		c := e.Value.(*sharedChunk)
		s.mu.Unlock()
		<-c.ready // being read; disk reads always end
		if c.err == nil && len(c.data) == len(data) {
			copy(data, c.data)
			return c.sum, nil
		}
		return readChunk(f, off, data)
	}
	c := &sharedChunk{key: key, size: len(data), ready: make(chan struct{})}
	if s.kept == nil {
		s.kept = map[chunkKey]*list.Element{}
	}
	s.kept[key] = s.order.PushFront(c)
	s.bytes += len(data)
	s.reads += int64(len(data))
	for s.bytes > sharedBytes && s.order.Len() > 1 {
		old := s.order.Back()
		gone := old.Value.(*sharedChunk)
		delete(s.kept, gone.key)
		s.bytes -= gone.size
		s.order.Remove(old)
	}
	s.mu.Unlock()
	c.sum, c.err = readChunk(f, off, data)
	c.data = append([]byte(nil), data...)
	close(c.ready)
	return c.sum, c.err
}
