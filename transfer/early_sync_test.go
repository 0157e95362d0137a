package transfer

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
)

// cutShort is a stream that ends with an error.
type cutShort struct{ io.Reader }

func (c cutShort) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = errors.New("the connection broke")
	}
	return n, err
}

// TestIntake_FailedEarlySyncStartsTheFileOver: the disk reports once that it has lost what was written; later syncs
// succeed, as on Linux. Whether the stream breaks meanwhile or not, nothing of the file counts as arrived.
func TestIntake_FailedEarlySyncStartsTheFileOver(t *testing.T) {
	for name, breaks := range map[string]bool{"the stream goes on": false, "the stream breaks meanwhile": true} {
		t.Run(name, func(t *testing.T) {
			failed := 0
			in, err := OpenIntake(IntakeOptions{Dir: t.TempDir(), Reserve: -1, check: func(op, name string) error {
				if op == "fsync" && strings.HasSuffix(name, "big") && failed == 0 {
					failed++
					return &os.PathError{Op: "fsync", Path: name, Err: syscall.EIO}
				}
				return nil
			}})
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			size := int64(syncAhead + 4*ChunkSize)
			data := make([]byte, size)
			var first io.Reader = bytes.NewReader(data)
			if breaks {
				first = cutShort{bytes.NewReader(data[:syncAhead])}
			}
			if _, err := in.Receive(context.Background(), Part{Path: "big", Size: size}, first); err == nil || failed != 1 {
				t.Fatalf("%v after %d failed syncs", err, failed)
			}
			if n := in.Arrived("big"); n != 0 {
				t.Errorf("%d bytes count as arrived", n)
			}
			if _, err := in.Receive(context.Background(), Part{Path: "big", Size: size}, bytes.NewReader(data)); err != nil {
				t.Fatal(err)
			}
			if result, err := in.Finish(); err != nil || result.Bytes != size || result.Files != 1 {
				t.Errorf("%+v, %v", result.Totals, err)
			}
		})
	}
}
