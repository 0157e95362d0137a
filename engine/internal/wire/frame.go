// Package wire is the JSON half of the Multipeer protocol: frames, messages, limits and error codes. PROTOCOL.md in
// the engine's folder describes it in prose.
//
// A frame is a four-byte big-endian length and one JSON object. Input passes three checks before any code above this
// package sees it: the length is compared with a limit before memory is allocated, the text is checked strictly (see
// [Check]), and the object is decoded into exactly one of the message types and range-checked. Input that fails a
// check is an error that ends the connection; it is never repaired.
package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Limits of the control stream, in bytes of JSON.
const (
	MaxHello   = 8 << 10  // a frame before the peer is greeted
	MaxControl = 64 << 10 // any frame except a message
	MaxMessage = 1 << 20  // the value or the bytes of an application's message
	// MaxFrame is the largest frame on a greeted connection: a full message of bytes in base64 and its envelope.
	MaxFrame  = (MaxMessage+2)/3*4 + 1<<10
	headerLen = 4
)

// ErrTooLarge reports that a frame or message exceeds its limit. Nothing of it was read or sent.
var ErrTooLarge = errors.New("too large")

// ReadFrame reads one frame of at most limit bytes from r. A clean end between two frames is io.EOF, an end inside
// one io.ErrUnexpectedEOF.
func ReadFrame(r io.Reader, limit int) ([]byte, error) {
	return ReadFrameWithin(r, func() int { return limit })
}

// ReadFrameWithin is ReadFrame with a limit that is evaluated when the frame's length is known, because it may have
// changed during the wait.
func ReadFrameWithin(r io.Reader, limitNow func() int) ([]byte, error) {
	var head [headerLen]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n, limit := binary.BigEndian.Uint32(head[:]), limitNow()
	if n == 0 || uint64(n) > uint64(limit) { // guard: frame-size
		return nil, fmt.Errorf("reading frame: %d bytes, limit %d: %w", n, limit, ErrTooLarge)
	}
	if n <= smallFrame {
		body := make([]byte, n)
		if _, err := io.ReadFull(r, body); err != nil {
			return nil, unexpected(err)
		}
		return body, nil
	}
	// The buffer grows with what arrives, and not beyond the frame: a peer that announces a megabyte and sends nothing
	// costs nothing.
	body := make([]byte, 0, smallFrame)
	for len(body) < int(n) {
		if len(body) == cap(body) {
			body = append(make([]byte, 0, min(int(n), 2*cap(body))), body...)
		}
		got, err := io.ReadFull(r, body[len(body):cap(body)])
		body = body[:len(body)+got]
		if err != nil {
			return nil, unexpected(err)
		}
	}
	return body, nil
}

// smallFrame is the frame size up to which memory is allocated at once, in bytes.
const smallFrame = 4 << 10

// unexpected converts io.EOF inside a frame into io.ErrUnexpectedEOF.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Frame encodes m with its type and length, ready for one Write.
func Frame(m Message) ([]byte, error) {
	out := make([]byte, headerLen, smallOut)
	if a, ok := m.(appender); ok {
		out = a.appendJSON(out)
	} else {
		body, err := Encode(m)
		if err != nil {
			return nil, err
		}
		out = append(out, body...)
	}
	n := len(out) - headerLen
	if n > MaxFrame {
		return nil, fmt.Errorf("writing %s: %d bytes, limit %d: %w", m.kind(), n, MaxFrame, ErrTooLarge)
	}
	binary.BigEndian.PutUint32(out, uint32(n))
	return out, nil
}

// smallOut is the initial capacity of a frame's buffer; most need no more.
const smallOut = 128

// Encode returns the JSON object of m, its type first.
func Encode(m Message) ([]byte, error) {
	if a, ok := m.(appender); ok {
		return a.appendJSON(nil), nil
	}
	fields, err := marshal(m)
	if err != nil {
		return nil, fmt.Errorf("encoding %s: %w", m.kind(), err)
	}
	head := `{"type":"` + m.kind() + `"`
	if len(fields) > len(`{}`) {
		head += ","
	}
	return append([]byte(head), fields[1:]...), nil
}

// marshal is json.Marshal without HTML escaping.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}
