package mdns

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/libp2p/zeroconf/v2"
)

// TestBrowse_LibraryRunsOnceAMinute: anyone on the link can simulate a network change.
func TestBrowse_LibraryRunsOnceAMinute(t *testing.T) {
	var b browsing
	start := time.Now()
	runs := 0
	for after := range 10 * 60 {
		if b.due(start.Add(time.Duration(after) * time.Second)) {
			runs++
		}
	}
	if runs != 10 {
		t.Errorf("%d runs in ten minutes", runs)
	}
}

// TestBrowse_LargeEntryEndsTheLibrary: the library does not limit what it collects.
func TestBrowse_LargeEntryEndsTheLibrary(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	entries, returned := make(chan *zeroconf.ServiceEntry), make(chan struct{})
	taken, done := 0, make(chan struct{})
	go func() {
		defer close(done)
		takeEntries(ctx, cancel, entries, returned, func(*zeroconf.ServiceEntry) { taken++ })
	}()
	entries <- &zeroconf.ServiceEntry{AddrIPv4: make([]net.IP, maxEntry)}
	if ctx.Err() != nil {
		t.Error("an entry of a usual size ends it")
	}
	for _, large := range []*zeroconf.ServiceEntry{{AddrIPv4: make([]net.IP, maxEntry+1)}, {AddrIPv6: make([]net.IP, maxEntry+1)}, {Text: make([]string, maxEntry+1)}} {
		entries <- large
	}
	close(returned)
	<-done
	if ctx.Err() == nil || taken != 1 {
		t.Errorf("%v, %d entries taken", ctx.Err(), taken)
	}
}
