package transfer

import (
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// countingWriter counts the writes to a pipe.
type countingWriter struct {
	io.Writer
	writes *atomic.Int64
}

func (w countingWriter) Write(b []byte) (int, error) {
	w.writes.Add(1)
	return w.Writer.Write(b)
}

// TestCompare_RequestsTravelTogether: comparing an unchanged tree takes far fewer writes than there are files, on both
// sides.
func TestCompare_RequestsTravelTogether(t *testing.T) {
	const files = 1000
	src, dst := filepath.Join(t.TempDir(), "src"), t.TempDir()
	for i := range files {
		write(t, filepath.Join(src, fmt.Sprintf("d%d/f%d", i%10, i)), fmt.Sprint("content ", i))
	}
	if _, _, e1, e2 := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst}); e1 != nil || e2 != nil {
		t.Fatal(e1, e2)
	}
	var fromSender, fromReceiver atomic.Int64
	a, b := newPipe()
	a.Writer = countingWriter{a.Writer, &fromSender}
	b.Writer = countingWriter{b.Writer, &fromReceiver}
	var got Result
	var sendErr, recvErr error
	var wg sync.WaitGroup
	wg.Go(func() { _, sendErr = Send(t.Context(), only(a), SendOptions{Paths: []string{src}}) })
	wg.Go(func() {
		got, recvErr = Receive(t.Context(), only(b), ReceiveOptions{Dir: dst, Existing: SkipIdentical})
	})
	wg.Wait()
	if sendErr != nil || recvErr != nil || got.Unchanged != files {
		t.Fatal(sendErr, recvErr, got)
	}
	if fromSender.Load() > files || fromReceiver.Load() > files {
		t.Errorf("%d writes of the sender, %d of the receiver", fromSender.Load(), fromReceiver.Load())
	}
	t.Logf("%d writes of the sender, %d of the receiver", fromSender.Load(), fromReceiver.Load())
}
