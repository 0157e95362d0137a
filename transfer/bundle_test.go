package transfer

import (
	"encoding/binary"
	"errors"
	"io"
	"testing"
	"time"
)

// TestLanes_TinyBlocksTakeLittleMemory: each block takes the memory of a large one, however small it is, so their
// number must be limited.
func TestLanes_TinyBlocksTakeLittleMemory(t *testing.T) {
	a, b := tcpPipes(t)
	done := make(chan error, 1)
	go func() {
		_, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: t.TempDir(), ID: "x"})
		done <- err
	}()
	go func() { _, _ = io.Copy(io.Discard, a) }()
	var buf []byte
	for i := range 8000 {
		buf = binary.BigEndian.AppendUint64(append(buf, frameBlock), uint64(i+1)) // never the next one
		buf = append(binary.BigEndian.AppendUint32(buf, 1), recFileEnd)
	}
	_, _ = a.Write(buf)
	if err := <-done; !errors.Is(err, ErrProtocol) {
		t.Error(err)
	}
	a.Interrupt()
}

// TestLanes_EndDoesNotWaitForAStalledOne: the end of one lane may block behind a stalled write.
func TestLanes_EndDoesNotWaitForAStalledOne(t *testing.T) {
	a, _ := newPipe()
	stuck := make(chan struct{})
	a.closeWrite = func() error { <-stuck; return nil } // as TLS does for 5 s behind a stalled Write
	b := newBundle()
	b.attach(a)
	go b.close()
	time.Sleep(100 * time.Millisecond)
	got := make(chan struct{})
	go func() { b.fail(errEnded); close(got) }()
	select {
	case <-got:
	case <-time.After(time.Second):
		t.Error("it waits")
	}
	close(stuck)
	b.wait()
}
