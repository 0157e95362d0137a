package engine_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
)

// TestDoc_LimitsAgreeWithTheConstants checks that the table of limits in the package comment agrees with the constants.
func TestDoc_LimitsAgreeWithTheConstants(t *testing.T) {
	b, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	_, table, _ := strings.Cut(string(b), "// # Limits\n")
	for line := range strings.Lines(table) {
		if name, limit, ok := strings.Cut(strings.TrimPrefix(line, "//\t"), "  "); ok && strings.HasPrefix(line, "//\t") {
			rows[name] = strings.TrimSpace(limit)
		}
	}
	for row, want := range map[string]string{
		"display name, name of a stream":  fmt.Sprintf("1 to %d bytes of UTF-8; name of a topic 1 to %d", engine.MaxName, engine.MaxTopic),
		"service type":                    fmt.Sprintf("1 to %d characters of a-z, 0-9 and -", engine.MaxService),
		"discovery info":                  fmt.Sprintf("%d bytes in total, %d for one key=value", engine.MaxInfo, engine.MaxPair),
		"context of an invitation":        fmt.Sprintf("%d bytes of JSON (MaxContext)", engine.MaxContext),
		"message":                         fmt.Sprintf("%d bytes (MaxMessage); %d to one peer may wait for answers", engine.MaxMessage, engine.MaxPending),
		"unreliable message":              fmt.Sprintf("%d bytes (MaxDatagram)", engine.MaxDatagram),
		"wait for an answer":              fmt.Sprintf("%d s (SendTimeout) to a message or an invitation, %d min to an offer", engine.SendTimeout/time.Second, engine.OfferTimeout/time.Minute),
		"open streams of one peer":        fmt.Sprintf("%d opened by each side, each with 524288 unread bytes", engine.MaxStreams),
		"unanswered offers from one peer": "10; 2 from one that was never accepted; more wait",
		"unread events of one reader":     "4096; at most 1024 messages of one peer, 33554432 bytes of messages",
		"transfers at once":               "4 to one peer, 12 in total",
		"peers that are listed at once":   "1024",
	} {
		if rows[row] != want {
			t.Errorf("%s: %q, want %q", row, rows[row], want)
		}
		delete(rows, row)
	}
	if len(rows) > 0 {
		t.Errorf("rows that nothing checks: %v", rows)
	}
	if engine.MaxName != engine.MaxStreamName || engine.SendTimeout != engine.InviteTimeout {
		t.Error("two limits that the table gives as one differ")
	}
}
