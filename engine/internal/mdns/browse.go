package mdns

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/zeroconf/v2"
	"golang.org/x/time/rate"
)

// browseTime is how long the library queries and listens after a start or a network change. Its sockets receive unicast
// answers, which ours may not, and multicast ones too. The time is short because the library reads without limit, and
// because its sockets take unicast packets that are meant for the system's own responder.
const browseTime = 2 * time.Second

// browseRate is both the rate, in entries per second, and the burst size at which the library's entries are taken. The
// library keeps each entry it delivers, however large, and waits for its reader.
const browseRate = 100

// libraryEvery is the minimum interval between two runs of the library: anyone on the link can cause network changes,
// for example with router advertisements.
const libraryEvery = time.Minute

// maxEntry limits the addresses and TXT strings of one entry. The library appends every address of a host to every
// entry that names it, so one packet can make it use a hundred megabytes. An entry that exceeds maxEntry ends the query.
const maxEntry = 64

// tooLarge reports whether an entry is larger than any that an engine sends.
func tooLarge(e *zeroconf.ServiceEntry) bool {
	return len(e.AddrIPv4)+len(e.AddrIPv6) > maxEntry || len(e.Text) > maxEntry
}

// browse has the library query for peers on some interfaces, and calls take with each answer, from several
// goroutines. It returns an error only if no query was possible.
func browse(ctx context.Context, service string, ifs []iface, take func(*zeroconf.ServiceEntry)) error {
	ctx, cancel := context.WithTimeout(ctx, browseTime)
	defer cancel()
	var on []net.Interface
	for _, f := range ifs {
		on = append(on, f.Interface)
	}
	var failed [2]error
	var wg sync.WaitGroup
	for i, family := range []zeroconf.IPType{zeroconf.IPv4, zeroconf.IPv6} { // in one call, a failing family would end the other
		wg.Go(func() {
			entries, returned := make(chan *zeroconf.ServiceEntry), make(chan struct{})
			wg.Go(func() { takeEntries(ctx, cancel, entries, returned, take) })
			failed[i] = zeroconf.Browse(ctx, serviceName(service), "local", entries, zeroconf.SelectIfaces(on), zeroconf.SelectIPTraffic(family))
			close(returned)
		})
	}
	wg.Wait()
	giveBackMemory()
	if failed[0] != nil && failed[1] != nil {
		return errors.Join(failed[:]...)
	}
	return nil
}

// wasted is how much unused memory is given back to the system after a run of the library.
const wasted = 64 << 20

// giveBackMemory returns to the system the memory that a hostile packet has made the library use. The runtime alone
// would keep it for minutes.
func giveBackMemory() {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapIdle-m.HeapReleased > wasted {
		debug.FreeOSMemory()
	}
}

// takeEntries calls take with the library's entries until the library has returned. It has to read them all, because
// the library waits for its reader indefinitely.
func takeEntries(ctx context.Context, end func(), entries <-chan *zeroconf.ServiceEntry, returned <-chan struct{}, take func(*zeroconf.ServiceEntry)) {
	pace := rate.NewLimiter(browseRate, browseRate)
	for {
		select {
		case e, ok := <-entries:
			if !ok {
				return
			}
			if tooLarge(e) { // guard: library-entry
				end()
				continue
			}
			take(e)
			_ = pace.Wait(ctx) // after ctx ends, drain the library
		case <-returned:
			return
		}
	}
}

// sightingOn converts an entry of the library into a sighting on one link; false means that it has no valid peer.
func sightingOn(e *zeroconf.ServiceEntry, service string, link iface, now time.Time) (sighting, bool) {
	r := newRecords(service, link)
	inst := r.instance(e.Instance + r.suffix)
	if inst == "" || e.Port < 0 || e.Port > 0xffff {
		return sighting{}, false
	}
	p := r.peer(inst, uint32(max(0, e.Expiry.Sub(now)/time.Second)))
	p.host, p.port = "host", uint16(e.Port)
	var lines []string
	for _, s := range e.Text {
		lines = append(lines, unescape(s))
	}
	p.txt = pairs(lines)
	for _, ip := range append(e.AddrIPv4, e.AddrIPv6...) {
		if a, ok := netip.AddrFromSlice(ip); ok {
			r.host(p.host, a.Unmap())
		}
	}
	if out := r.sightings(); len(out) == 1 {
		return out[0], true
	}
	return sighting{}, false
}

// unescape undoes the escapes in the library's strings (RFC 1035 section 5.1).
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i+3 < len(s) && digits(s[i+1:i+4]) {
			b.WriteByte((s[i+1]-'0')*100 + (s[i+2]-'0')*10 + s[i+3] - '0')
			i += 3
		} else if i+1 < len(s) {
			i++
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

func digits(s string) bool { return strings.Trim(s, "0123456789") == "" }
