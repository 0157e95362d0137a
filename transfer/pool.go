package transfer

import "sync"

// bufferPool recycles buffers of one size.
type bufferPool struct {
	size int
	p    sync.Pool
}

// get returns a buffer of length n, with room for size.
func (b *bufferPool) get(n int) []byte {
	if v, _ := b.p.Get().(*[]byte); v != nil && n <= b.size {
		return (*v)[:n]
	}
	return make([]byte, n, max(n, b.size))
}

func (b *bufferPool) put(s []byte) {
	if cap(s) >= b.size {
		s = s[:0]
		b.p.Put(&s)
	}
}
