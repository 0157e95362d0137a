package discovery

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/zeroconf/v2"
)

// registrar keeps one responder of libp2p/zeroconf on each interface, so that each link is told its own addresses
// only. It never calls zeroconf.Register, which would claim the system's host name.
type registrar struct {
	log     *slog.Logger
	servers map[int]registration
}

type registration struct {
	server *zeroconf.Server
	on     iface
	self   Announcement
}

func serviceName(service string) string { return "_" + service + "._udp" }

// text is the TXT record: schema, full ID, name, and the program's discovery info. Keys with an underscore are ours.
func text(self Announcement) []string {
	if self.Known {
		return []string{"_v=1", "_id=" + self.ID.String(), "_k=1"}
	}
	out := []string{"_v=1", "_id=" + self.ID.String(), "_n=" + escape(self.Name)}
	for _, k := range slices.Sorted(maps.Keys(self.Info)) {
		out = append(out, escape(k+"="+self.Info[k]))
	}
	return out
}

// escape writes s as the library wants a string: it takes backslashes for escapes (RFC 1035 section 5.1).
func escape(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c > 0x7e || c == '\\' || c == '"' {
			fmt.Fprintf(&b, "\\%03d", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// reconcile starts and stops responders until there is one for each of ifs that tells self as it is. An interface
// that was replaced, or a changed name, gets a new responder: the library reads addresses once and its SetText is
// a data race. The goodbye and the new announcement lie closer together than the receivers' grace.
func (r *registrar) reconcile(self Announcement, ifs []iface) error {
	if r.servers == nil {
		r.servers = map[int]registration{}
	}
	want := map[int]iface{}
	if self.Advertise {
		for _, f := range ifs {
			want[f.Index] = f
		}
	}
	var stop []*zeroconf.Server
	for index, reg := range r.servers {
		if f, ok := want[index]; !ok || !f.equal(reg.on) || !reg.self.Equal(self) {
			stop = append(stop, reg.server)
			delete(r.servers, index)
		}
	}
	shutdown(stop)
	var failed error
	for index, f := range want {
		if _, ok := r.servers[index]; ok {
			continue
		}
		var ips []string // none means: the live addresses of the interface that the answer leaves by
		if f.loopback() || runtime.GOOS == "windows" {
			ips = f.addresses()
		}
		s, err := zeroconf.RegisterProxy(self.ID.Instance(), serviceName(self.Service), "local", self.Port,
			self.ID.Instance(), ips, text(self), []net.Interface{f.Interface}, zeroconf.TTL(uint32(recordTTL/time.Second)))
		if err != nil {
			r.log.Warn("advertising", "interface", f.Name, "err", err)
			failed = errors.Join(failed, fmt.Errorf("advertising on %s: %w; another program may hold UDP port 5353 for itself", f.Name, err))
			continue
		}
		r.servers[index] = registration{s, f, self}
	}
	return failed
}

func (r *registrar) close() {
	var all []*zeroconf.Server
	for _, reg := range r.servers {
		all = append(all, reg.server)
	}
	r.servers = nil
	shutdown(all)
}

// shutdown says goodbye on all interfaces at once.
func shutdown(servers []*zeroconf.Server) {
	var wg sync.WaitGroup
	for _, s := range servers {
		wg.Go(s.Shutdown)
	}
	wg.Wait()
}
