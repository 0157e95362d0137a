package transfer

import (
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestExampleOfTheProtocol plays the bytes that PROTOCOL.md shows.
func TestExampleOfTheProtocol(t *testing.T) {
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
		r := newRecordReader(a)
		for {
			kind, body, err := r.next(nil)
			if err != nil || kind == recReceipt || kind == recAbort {
				answers <- putRecord(nil, kind, body)
				return
			}
		}
	}()
	got, err := Receive(t.Context(), b, ReceiveOptions{Dir: dst})
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
