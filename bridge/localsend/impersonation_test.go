package localsend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/transfer"
)

// addrOf returns where a device is listed.
func (l *lab) addrOf(id engine.PeerID) netip.AddrPort {
	if p, ok := l.Peer(id); ok && len(p.Addrs) > 0 {
		return p.Addrs[0]
	}
	return netip.AddrPort{}
}

// relay relays all connections to a loopback address, and returns its own address.
func relay(t *testing.T, from, to string) netip.AddrPort {
	t.Helper()
	at, err := net.Listen("tcp", from+":0")
	must(t, err)
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(done)
		for {
			c, err := at.Accept()
			if err != nil {
				return
			}
			d, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			stop := func() {
				_ = c.Close()
				_ = d.Close()
			}
			context.AfterFunc(ctx, stop)
			go func() { _, _ = io.Copy(d, c); stop() }()
			go func() { _, _ = io.Copy(c, d); stop() }()
		}
	}()
	t.Cleanup(func() { cancel(); _ = at.Close(); <-done })
	return at.Addr().(*net.TCPAddr).AddrPort()
}

// TestImpersonation_KnownDeviceKeepsItsAddress: another device relays the traffic of a known one, and describes itself
// at the same address. It neither moves nor replaces the known device. Once the known device no longer answers, it may
// be found elsewhere.
func TestImpersonation_KnownDeviceKeepsItsAddress(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	id := l.find(t, p)
	must(t, l.SetTrust(id, engine.TrustVerified))
	own, evil := l.addrOf(id), relay(t, "127.0.0.9", p.device.Addr.String())
	ds := l.gateway.devices
	i := p.info()
	i.Port = int(evil.Port())
	settle := func() {
		ds.running.Wait()
		time.Sleep(changeEvery) // changes are accepted at most this often
		ds.running.Wait()
	}
	for range 3 {
		ds.takeAnnouncement(evil.Addr(), i)
		settle()
	}
	if at := l.addrOf(id); at != own {
		t.Errorf("it has moved to %v", at)
	}
	ds.found(gateway.Device{Key: strings.Repeat("AB", 32), Name: "other", Addr: own, Proven: true, Encrypted: true})
	if at := l.addrOf(id); at != own {
		t.Errorf("another key has replaced it: %v", at)
	}
	p.server.CloseClientConnections()
	p.server.Close()
	d := p.device
	d.Addr = netip.AddrPortFrom(own.Addr(), 54_321)
	ds.found(d) // its register request came from there, with its key
	eventually(t, func() bool { return l.addrOf(id) == d.Addr })
}

// TestImpersonation_TypedAddress: once a known device has answered at an address, no other device gets what a person
// sends to that address, with encryption or without, even after a restart.
func TestImpersonation_TypedAddress(t *testing.T) {
	dir := t.TempDir()
	l := newLab(t, Options{Dir: dir})
	p := newStrictPeer(t, false)
	id := l.find(t, p)
	must(t, l.SetTrust(id, engine.TrustSeen))
	at := p.device.Addr
	p.server.CloseClientConnections()
	p.server.Close()
	for _, plain := range []bool{true, false} {
		impostor := newStrictPeerAt(t, plain, at.String())
		key, err := l.gateway.Find(t.Context(), at)
		var another *AnotherDevice
		if !errors.As(err, &another) || !errors.Is(err, engine.ErrIdentity) || another.Before != id || another.Encrypted == plain {
			t.Errorf("plain %v: %q, %v", plain, key, err)
		}
		impostor.server.Close()
	}
	again, err := New(Options{Dir: dir, loopback: true})
	must(t, err)
	if got := again.typed.of(at); gateway.PeerID(Name, got) != id {
		t.Errorf("after a restart: %q", got)
	}
	mapped := netip.AddrPortFrom(netip.AddrFrom16(at.Addr().As16()), at.Port())
	impostor := newStrictPeerAt(t, true, at.String())
	if key, err := l.gateway.Find(t.Context(), mapped); !errors.Is(err, engine.ErrIdentity) {
		t.Errorf("as an IPv6 address: %q, %v", key, err)
	}
	impostor.server.Close()
	must(t, l.SetTrust(id, engine.TrustUnknown))
	newStrictPeerAt(t, false, at.String())
	if _, err := l.gateway.Find(t.Context(), at); err != nil {
		t.Errorf("after it was forgotten: %v", err)
	}
	must(t, os.WriteFile(filepath.Join(dir, addressFile), []byte("{"), 0o600))
	if as := loadAddresses(dir, func(string) bool { return false }); len(as.keyOf) != 0 || as.keep(at, "x") != nil || as.of(at) != "x" {
		t.Error("a damaged file is not replaced")
	}
}

// TestAddresses_OfKnownDevicesStay: devices that no one has accepted, and one device that uses many addresses, cannot
// drop or replace the addresses of known devices.
func TestAddresses_OfKnownDevicesStay(t *testing.T) {
	as := loadAddresses("", func(key string) bool { return strings.HasPrefix(key, "known") })
	at := func(i int) netip.AddrPort {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 53317)
	}
	for i := range 100 {
		must(t, as.keep(at(i), fmt.Sprint("known ", i)))
	}
	for i := range 1000 {
		must(t, as.keep(at(1000+i), fmt.Sprint("stranger ", i)))
		must(t, as.keep(at(2000+i), "a stranger with many addresses"))
		must(t, as.keep(at(3000+i), "known, with many addresses"))
		must(t, as.keep(at(i%100), "an impostor"))
	}
	for i := range 100 {
		if got := as.of(at(i)); got != fmt.Sprint("known ", i) {
			t.Errorf("at %v: %q", at(i), got)
		}
	}
	if n := len(as.ofKeyLocked("known, with many addresses")); n > addressesOfOne || len(as.keyOf) > maxAddresses {
		t.Errorf("%d addresses of one device, %d in all", n, len(as.keyOf))
	}
}

// TestImpersonation_AddressOfAListedDevice: if a known device was found by its announcement or has exchanged files,
// only that device gets what is sent to its address.
func TestImpersonation_AddressOfAListedDevice(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	at := p.device.Addr
	l.gateway.devices.found(p.device)
	id := gateway.PeerID(Name, p.device.Key)
	must(t, l.SetTrust(id, engine.TrustVerified))
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	tr, err := l.Offer(t.Context(), id, file)
	must(t, err)
	if end, err := l.ended(t, tr.ID); err != nil || end.State != engine.Delivered {
		t.Fatalf("%+v %v", end, err)
	}
	p.server.CloseClientConnections()
	p.server.Close()
	newStrictPeerAt(t, true, at.String())
	for _, listed := range []bool{true, false} {
		if !listed {
			l.gateway.devices.drop(l.gateway.devices.byKey[p.device.Key])
		}
		if key, err := l.gateway.Find(t.Context(), at); !errors.Is(err, engine.ErrIdentity) {
			t.Errorf("listed %v: %q, %v", listed, key, err)
		}
	}
}

// TestImpersonation_RelayShutsNoOneOut: a device that is listed at the address of a relay may still send offers.
func TestImpersonation_RelayShutsNoOneOut(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	id := gateway.PeerID(Name, c.own)
	must(t, l.SetTrust(id, engine.TrustVerified))
	evil := netip.MustParseAddrPort("127.0.0.9:7777")
	l.gateway.devices.found(gateway.Device{Key: c.own, Name: "Phone", Addr: evil, Proven: true, Encrypted: true})
	if err := c.send(map[string]string{"a": "hello"}); err != nil {
		t.Error(err)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
}

// TestInterfaces_OfAnnouncements: announcements that arrive on other interfaces are ignored.
func TestInterfaces_OfAnnouncements(t *testing.T) {
	all, err := net.Interfaces()
	must(t, err)
	for _, i := range all {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		for name, uses := range map[string]bool{i.Name: true, "none": false} {
			g, err := New(Options{Interfaces: []string{name}})
			must(t, err)
			if g.uses(i.Index) != uses {
				t.Errorf("%s with --interface %s: %v", i.Name, name, !uses)
			}
		}
	}
	g, err := New(Options{})
	must(t, err)
	if !g.uses(1) {
		t.Error("without --interface, nothing is taken")
	}
}

// TestHostile_Folders: an offer with more folders than a person could mean to send is refused.
func TestHostile_Folders(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	contents := map[string]string{}
	for i := range maxFolders/(transfer.MaxDepth-1) + 2 {
		contents[fmt.Sprint(i, strings.Repeat("/d", transfer.MaxDepth-2), "/f")] = "x"
	}
	if _, code := c.prepare(c.offerOf(contents)); code != http.StatusBadRequest {
		t.Errorf("%d files in more than %d folders: %d", len(contents), maxFolders, code)
	}
	contents = map[string]string{"f" + strings.Repeat("/d", transfer.MaxDepth): "x"}
	if _, code := c.prepare(c.offerOf(contents)); code != http.StatusBadRequest {
		t.Errorf("too deep: %d", code)
	}
}

// TestHostile_QuestionsOfOneAddress: however many keys one address has, it seldom prompts the person, and after three
// refusals never. Other addresses, and known devices at the same one, may still ask.
func TestHostile_QuestionsOfOneAddress(t *testing.T) {
	l := newLab(t, Options{})
	ds := l.gateway.devices
	ds.questions = newSourceLimits(questionRate, questionBurst)
	contents := map[string]string{"a": "hello"}
	ask := func(from string, trust engine.Trust) int {
		c := newClientFrom(t, l.port, from)
		must(t, l.SetTrust(gateway.PeerID(Name, c.own), trust))
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		code, _ := c.json(ctx, "prepare-upload", c.offerOf(contents))
		eventually(t, func() bool { return !l.gateway.sessions.has(c.own) || code == http.StatusOK })
		return code
	}
	l.when(func(o *engine.Offer) { _ = o.Decline() })
	for i := range 2 * maxDeclined {
		if code := ask("127.0.0.11", engine.TrustUnknown); code != http.StatusForbidden {
			t.Errorf("offer %d: %d", i, code)
		}
	}
	if n := l.asked.Load(); n != maxDeclined {
		t.Errorf("declined %d times, not %d", n, maxDeclined)
	}
	l.when(func(o *engine.Offer) {}) // the person is away
	l.asked.Store(0)
	for range 4 * questionBurst {
		c := newClientFrom(t, l.port, "127.0.0.12")
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		c.json(ctx, "prepare-upload", c.offerOf(contents))
		cancel()
		eventually(t, func() bool { return !l.gateway.sessions.has(c.own) })
	}
	if n := l.asked.Load(); n > questionBurst || n == 0 {
		t.Errorf("one address has asked %d times, at most %d are allowed", n, questionBurst)
	}
	l.accept()
	for from, trust := range map[string]engine.Trust{"127.0.0.13": engine.TrustUnknown, "127.0.0.11": engine.TrustSeen} {
		if code := ask(from, trust); code != http.StatusOK {
			t.Errorf("from %s, %q: %d", from, trust, code)
		}
	}
}

// TestHostile_FullListMakesRoom: many devices at a few addresses do not keep others out of the list.
func TestHostile_FullListMakesRoom(t *testing.T) {
	l := newLab(t, Options{})
	ds := l.gateway.devices
	device := func(address string, n int) gateway.Device {
		at := netip.AddrPortFrom(netip.MustParseAddr(address), uint16(2000+n))
		return gateway.Device{Key: fmt.Sprint(address, " ", n), Name: "x", Addr: at, Proven: true, Encrypted: true}
	}
	for a := range maxDevices / maxDevicesAtOne {
		for n := range maxDevicesAtOne + 1 {
			if _, ok := ds.found(device(fmt.Sprintf("127.0.1.%d", a+1), n)); ok != (n < maxDevicesAtOne) {
				t.Fatalf("device %d of address %d: %v", n, a, ok)
			}
		}
	}
	if n := len(l.Peers()); n != maxDevices {
		t.Errorf("%d devices", n)
	}
	for n := range maxDevicesAtOne - 1 {
		if _, ok := ds.found(device("127.0.2.1", n)); !ok {
			t.Errorf("device %d of another address finds no slot", n)
		}
	}
	// At first, each replaces a device of an address with several; later there is none to replace.
	for a := range maxDevices {
		ds.found(device(fmt.Sprintf("127.0.3.%d", a+1), 0))
	}
	if _, ok := ds.found(device("127.0.4.1", 0)); ok {
		t.Error("one device of an address replaces the only one of another")
	}
	if n := len(l.Peers()); n != maxDevices {
		t.Errorf("%d devices at the end", n)
	}
}

// TestHostile_AnnouncementsAreForged: packets with the forged address of a phone do not keep the phone from describing
// itself over TCP, and cause no request to a privileged port.
func TestHostile_AnnouncementsAreForged(t *testing.T) {
	l := newLab(t, Options{})
	c := newClientFrom(t, l.port, "127.0.0.7")
	at, ds := netip.MustParseAddr("127.0.0.7"), l.gateway.devices
	other := netip.MustParseAddr("127.0.0.8")
	for _, port := range []int{1, 22, lowestPort - 1} {
		ds.takeAnnouncement(other, deviceInfo{Alias: "x", Version: "2.1", Fingerprint: "00", Port: port, Protocol: schemePlain})
		ds.mu.Lock()
		if ds.probing[other] {
			t.Errorf("port %d is asked", port)
		}
		ds.mu.Unlock()
	}
	for range 500 {
		ds.takeAnnouncement(at, deviceInfo{Alias: "x", Version: "2.1", Fingerprint: "00", Port: 2000})
	}
	code, _ := c.json(t.Context(), "register", deviceInfo{Alias: "Phone", Version: "2.1", Fingerprint: c.own, Port: DefaultPort, Protocol: schemeTLS})
	if code != http.StatusOK || l.addrOf(gateway.PeerID(Name, c.own)) == (netip.AddrPort{}) {
		t.Errorf("the phone got %d", code)
	}
}

// TestHostile_FarDevicesAreNotAsked: no request goes to a device outside this machine's networks, and such a device
// leaves the list by itself.
func TestHostile_FarDevicesAreNotAsked(t *testing.T) {
	l := newLab(t, Options{})
	ds := l.gateway.devices
	far := gateway.Device{Key: "far", Name: "x", Addr: netip.MustParseAddrPort("203.0.113.9:2222"), Proven: true, Encrypted: true}
	ds.found(far)
	began := time.Now()
	ds.check(t.Context())
	if took := time.Since(began); took > probeTimeout/2 || ds.byKey["far"].failures != 0 {
		t.Errorf("it was asked: %v", took)
	}
	ds.mu.Lock()
	ds.byKey["far"].heard = time.Now().Add(-2 * heardFor)
	ds.mu.Unlock()
	ds.check(t.Context())
	if n := len(l.Peers()); n != 0 {
		t.Errorf("%d devices are left", n)
	}
}

// TestSend_LongAnswers: the receiver's session ID and tokens are sent back with each file, so their length is limited.
func TestSend_LongAnswers(t *testing.T) {
	l := newLab(t, Options{})
	file := filepath.Join(t.TempDir(), "a")
	must(t, os.WriteFile(file, []byte("hello"), 0o644))
	for what, change := range map[string]func(p *strictPeer){
		"session": func(p *strictPeer) { p.sessionID = strings.Repeat("s", maxTokens+1) },
		"token":   func(p *strictPeer) { p.tokenTail = strings.Repeat("t", maxTokens) },
	} {
		p := newStrictPeer(t, false)
		change(p)
		tr, err := l.Offer(t.Context(), l.find(t, p), file)
		must(t, err)
		end, err := l.ended(t, tr.ID)
		if err != nil || end.State != engine.Failed || len(p.files()) != 0 {
			t.Errorf("a long %s: %v %v", what, end.State, err)
		}
	}
}

// TestReceive_WhatNeverComesIsLeftOut: every file that was offered and did not arrive is reported.
func TestReceive_WhatNeverComesIsLeftOut(t *testing.T) {
	l := newLab(t, Options{stalls: 300 * time.Millisecond})
	c := newClient(t, l.port, true)
	a, code := c.prepare(c.offerOf(map[string]string{"a": "hello", "b": "hello", "c": "hello"}))
	if code != http.StatusOK || c.upload(a, idOf("a"), strings.NewReader("hello")) != http.StatusOK {
		t.Fatal(code)
	}
	c.upload(a, idOf("b"), strings.NewReader("he"))
	eventually(t, func() bool { return l.last().State == engine.Failed })
	missing := map[string]bool{}
	for _, n := range l.last().Notes {
		missing[n.Path] = n.Err != nil
	}
	if got := l.last(); got.LeftOut != 2 || !missing["b"] || !missing["c"] {
		t.Errorf("%d left out: %+v", got.LeftOut, got.Notes)
	}
}

// TestURL_OfALinkLocalAddress: the zone of an address is escaped.
func TestURL_OfALinkLocalAddress(t *testing.T) {
	d := &device{Device: gateway.Device{Addr: netip.MustParseAddrPort("[fe80::1%eth0]:53317"), Proven: true}}
	r, err := http.NewRequest(http.MethodGet, d.url("info"), nil)
	if err != nil || r.URL.Host != "[fe80::1%eth0]:53317" {
		t.Errorf("%v, %v", r, err)
	}
}

// TestImpersonation_MoveKeepsOffers: a known device is listed at an address where it no longer answers, or where
// another device relays its traffic. It moves while a person reads its offer, and the offer continues.
func TestImpersonation_MoveKeepsOffers(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	id := gateway.PeerID(Name, c.own)
	must(t, l.SetTrust(id, engine.TrustVerified))
	before := netip.MustParseAddrPort("127.0.0.9:7777") // nothing answers there
	l.gateway.devices.found(gateway.Device{Key: c.own, Name: "Phone", Addr: before, Proven: true, Encrypted: true})
	l.when(func(o *engine.Offer) {
		eventually(t, func() bool { return l.addrOf(id) != before })
		if err := o.Accept(engine.AcceptOptions{Dir: l.dir}); err != nil {
			t.Error(err)
		}
	})
	if err := c.send(map[string]string{"a": "hello"}); err != nil {
		t.Error(err)
	}
	same(t, l.inbox(t), map[string]string{"a": "hello"})
}

// TestImpersonation_ClaimedAddress: a device whose offer is accepted claims the address of another known one. It does
// not get what a person sends to that address; the other device still does.
func TestImpersonation_ClaimedAddress(t *testing.T) {
	l := newLab(t, Options{})
	p := newStrictPeer(t, false)
	id := l.find(t, p)
	must(t, l.SetTrust(id, engine.TrustVerified))
	at := p.device.Addr
	ds := l.gateway.devices
	listed := ds.byKey[p.device.Key]
	ds.drop(listed) // it sleeps
	c := newClient(t, l.port, true)
	o := c.offerOf(map[string]string{"a": "hello"})
	o.Info.Port = int(at.Port())
	if _, code := c.prepare(o); code != http.StatusOK {
		t.Fatalf("the offer is refused: %d", code)
	}
	ds.running.Wait()
	if got := l.gateway.typed.of(at); got != p.device.Key {
		t.Errorf("the address belongs to %q", got)
	}
	if key, err := l.gateway.Find(t.Context(), at); err != nil || key != p.device.Key {
		t.Errorf("the device that answers there: %q, %v", key, err)
	}
	p.server.CloseClientConnections()
	p.server.Close()
	other := newStrictPeerAt(t, false, at.String()) // it answers there now
	ds.confirm(other.device)
	ds.running.Wait()
	if got := l.gateway.typed.of(at); got != p.device.Key {
		t.Errorf("the address now belongs to %q", got)
	}
	// The same for a known device that is listed there, and whose address is not stored.
	l.gateway.typed.mu.Lock()
	delete(l.gateway.typed.keyOf, at)
	l.gateway.typed.mu.Unlock()
	ds.mu.Lock()
	ds.byKey[p.device.Key] = listed
	ds.mu.Unlock()
	ds.confirm(other.device)
	ds.running.Wait()
	if got := l.gateway.typed.of(at); got == other.device.Key {
		t.Errorf("the address of a listed device now belongs to %q", got)
	}
}

// TestImpersonation_ClaimedPort: an address that a device only claims is not stored.
func TestImpersonation_ClaimedPort(t *testing.T) {
	l := newLab(t, Options{})
	c := newClient(t, l.port, true)
	o := c.offerOf(map[string]string{"a": "hello"})
	o.Info.Port = 54_321 // nothing answers there
	if _, code := c.prepare(o); code != http.StatusOK {
		t.Fatalf("the offer is refused: %d", code)
	}
	l.gateway.devices.running.Wait()
	if got := l.gateway.typed.of(netip.MustParseAddrPort("127.0.0.1:54321")); got != "" {
		t.Errorf("the address belongs to %q", got)
	}
}

// TestHostile_Packets: one address can neither keep this device busy with announcements nor keep other addresses out.
func TestHostile_Packets(t *testing.T) {
	l := newLab(t, Options{})
	m := &multicast{g: l.gateway, packets: newSourceLimits(packetRate, packetBurst)}
	began, read := time.Now(), 0
	for range 100 * packetBurst {
		if m.take([]byte("{"), netip.MustParseAddr("192.0.2.1")) {
			read++
		}
	}
	if most := packetBurst + 1 + int(packetRate*time.Since(began).Seconds()); read == 0 || read > most {
		t.Errorf("%d announcements of one address were read", read)
	}
	if !m.take([]byte("{"), netip.MustParseAddr("192.0.2.2")) {
		t.Error("the announcement of another address was not read")
	}
}
