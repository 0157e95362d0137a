package localsend

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"multipeer/engine"
)

// TestReceive_CancelAtTheEnd cancels sessions while their only file is being finished: the upload is answered 200 only if
// the file is delivered, and the next offer on the same connection gets an answer.
func TestReceive_CancelAtTheEnd(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	body := strings.Repeat("x", 200_000)
	for i := range 40 {
		o := c.offerOf(map[string]string{"f": body})
		text, err := json.Marshal(o)
		must(t, err)
		// A body of unknown length is sent with chunked encoding, as LocalSend does.
		code, answer := c.post(t.Context(), "prepare-upload", struct{ io.Reader }{bytes.NewReader(text)})
		var a acceptance
		if code != http.StatusOK || json.Unmarshal(answer, &a) != nil {
			t.Fatalf("offer %d: %d %q", i, code, answer)
		}
		uploaded := 0
		var both sync.WaitGroup
		both.Go(func() {
			for id := range o.Files {
				uploaded = c.upload(a, id, struct{ io.Reader }{strings.NewReader(body)})
			}
		})
		both.Go(func() {
			time.Sleep(time.Duration(i%20) * 150 * time.Microsecond)
			c.post(context.Background(), "cancel?sessionId="+a.SessionID, strings.NewReader(""))
		})
		both.Wait()
		var last engine.Transfer
		eventually(t, func() bool { last = l.last(); return last.State.Final() })
		if uploaded == http.StatusOK && last.State != engine.Delivered {
			t.Errorf("offer %d: the upload was answered %d, but the transfer is %v: %v", i, uploaded, last.State, last.Err)
		}
	}
}
