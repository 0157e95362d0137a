package rpc

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
)

// TestServe_ReadsRequestsWhileNoOneReadsResponses: a program may write requests without reading responses, as a program
// with blocking pipes does.
func TestServe_ReadsRequestsWhileNoOneReadsResponses(t *testing.T) {
	in, requests := io.Pipe()
	responses, out := io.Pipe()
	ended := make(chan error, 1)
	go func() {
		ended <- Serve(t.Context(), in, out, func(engine.Config) (*engine.Engine, bool, error) { return nil, false, io.EOF })
	}()
	const count = 500
	written := make(chan struct{})
	go func() {
		defer close(written)
		for n := range count {
			_, _ = fmt.Fprintf(requests, `{"jsonrpc":"2.0","id":%d,"method":"datagram","params":{"to":"all","body":%q}}`+"\n", n, strings.Repeat("x", 10_000))
		}
		_ = requests.Close()
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	select {
	case <-written:
	case <-ctx.Done():
		t.Error("requests are not read")
	}
	go func() {
		<-ctx.Done()
		_ = responses.Close()
	}()
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(responses)
		text <- string(b)
	}()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	_ = out.Close()
	if got := strings.Count(<-text, "\n"); got != count {
		t.Errorf("%d responses", got)
	}
}
