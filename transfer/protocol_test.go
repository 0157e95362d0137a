package transfer

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestProtocol_Example plays the bytes that PROTOCOL.md shows.
func TestProtocol_Example(t *testing.T) {
	doc, err := os.ReadFile("../engine/PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	block := func(info string) []byte {
		m := regexp.MustCompile("(?ms)^```" + info + "\n(.*?)^```").FindSubmatch(doc)
		if m == nil {
			t.Fatalf("no block %q", info)
		}
		b, err := hex.DecodeString(strings.Join(strings.Fields(string(m[1])), ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	dst := t.TempDir()
	a, b := newPipe()
	answers := make(chan []byte, 1)
	go func() {
		_, _ = a.Write(block("transfer"))
		in := newFrameReader(a)
		var last []byte
		for {
			k, _, err := in.next()
			if err != nil {
				answers <- last
				return
			}
			if k != nil {
				last = append([]byte(nil), k.body()...)
				_, _ = a.Write(binary.BigEndian.AppendUint64([]byte{frameTaken}, k.seq+1))
			}
			if k != nil && k.body()[0] == recReceipt {
				_ = a.CloseWrite()
			}
		}
	}()
	got, err := Receive(t.Context(), only(b), ReceiveOptions{Dir: dst})
	if err != nil {
		t.Fatal(err)
	}
	if receipt := <-answers; string(receipt) != string(block("answer")) {
		t.Errorf("receipt %x", receipt)
	}
	if content, err := os.ReadFile(filepath.Join(dst, "d", "a")); err != nil || string(content) != "payload" || got.Files != 1 || got.Folders != 1 {
		t.Errorf("%q, %v, %+v", content, err, got)
	}
}
