package localsend

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/internal/connlimit"

	"golang.org/x/time/rate"
)

const (
	// maxDevices is how many devices are listed. An address with maxDevicesAtOne devices gets no more unknown ones.
	// reservedDevices are additional slots for known devices.
	maxDevices      = 128
	maxDevicesAtOne = 4
	reservedDevices = 64
	// changeEvery is how often a device may change its name or its port.
	changeEvery = time.Second
	// checkEvery is how often the devices are checked: LocalSend does not announce its exit.
	checkEvery    = 20 * time.Second
	checkFailures = 3
	probeTimeout  = 2 * time.Second
	// Anyone can send a description, and each one causes a request to its source.
	probeRate   = 5 // per second
	probeBurst  = 30
	probesAtOne = 16 // at once
	// Descriptions from one address.
	registerRate  = 0.5 // per second
	registerBurst = 10
	// Prompts from one address, for devices that no one has accepted.
	questionRate  = 1.0 / 30 // per second
	questionBurst = 5
	// heardFor is how long a device outside this machine's networks is listed after it was last heard from: such
	// devices are not checked.
	heardFor = time.Minute
	// lowestPort is the lowest port to which an announcement may cause a request.
	lowestPort = 1024
)

// device is a device that was found.
type device struct {
	gateway.Device
	failures int
	renamed  time.Time // when its description last changed
	heard    time.Time
}

// devices holds the devices that were found.
type devices struct {
	g          *Gateway
	probes     *rate.Limiter // for all multicast announcements together, whose source can be forged
	claims     *rate.Limiter // for all unproven descriptions over TCP together
	announced  *sourceLimits
	registered *sourceLimits
	questions  *sourceLimits
	running    sync.WaitGroup
	slots      chan struct{} // one for each probe
	asking     chan struct{} // one for each check

	// publishing keeps reports in the order of the changes. It is taken before mu.
	publishing sync.Mutex

	mu      sync.Mutex
	to      gateway.Sink    // nil while the gateway does not serve
	ctx     context.Context // of the run
	byKey   map[string]*device
	probing map[netip.Addr]bool // addresses with a request in progress
	moving  map[string]bool     // known devices whose old address is being checked
}

func newDevices(g *Gateway) *devices {
	return &devices{
		g: g, probes: rate.NewLimiter(probeRate, probeBurst), claims: rate.NewLimiter(probeRate, probeBurst),
		announced: newSourceLimits(registerRate, registerBurst), registered: newSourceLimits(registerRate, registerBurst),
		questions: newSourceLimits(questionRate, questionBurst),
		slots:     make(chan struct{}, probesAtOne), asking: make(chan struct{}, probesAtOne),
		byKey: map[string]*device{}, probing: map[netip.Addr]bool{}, moving: map[string]bool{},
	}
}

func (ds *devices) begin(to gateway.Sink) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.to = to
}

// run checks periodically which devices are still there, until ctx ends.
func (ds *devices) run(ctx context.Context) {
	ds.mu.Lock()
	ds.ctx = ctx
	ds.mu.Unlock()
	for ctx.Err() == nil {
		pause(ctx, checkEvery)
		if ds.g.visible() {
			ds.check(ctx)
		}
	}
	ds.mu.Lock()
	ds.ctx = nil // nothing is started from now on
	ds.mu.Unlock()
	ds.running.Wait()
}

// check checks whether all devices are still there.
func (ds *devices) check(ctx context.Context) {
	ds.mu.Lock()
	all := slices.Collect(maps.Values(ds.byKey))
	ds.mu.Unlock()
	var asking sync.WaitGroup
	for _, d := range all {
		if ds.g.sessions.has(d.Key) { // it is busy
			continue
		}
		if !isNear(d.Addr.Addr()) { // guard: localsend-checks-near
			if time.Since(d.heard) > heardFor {
				ds.drop(d)
			}
			continue
		}
		select {
		case ds.asking <- struct{}{}:
		case <-ctx.Done():
			return
		}
		asking.Go(func() {
			defer func() { <-ds.asking }()
			_, err := ds.g.call(ctx, d, http.MethodGet, "info", nil)
			if ctx.Err() == nil {
				ds.answered(d, err)
			}
		})
	}
	asking.Wait()
}

// answered counts the failed checks of a device in a row, and drops it at the limit.
func (ds *devices) answered(d *device, err error) {
	ds.mu.Lock()
	d.failures++
	if err == nil {
		d.failures = 0
	}
	gone := d.failures >= checkFailures
	ds.mu.Unlock()
	if gone {
		ds.drop(d)
	}
}

// drop removes a device, unless it was replaced.
func (ds *devices) drop(d *device) {
	ds.publishing.Lock()
	defer ds.publishing.Unlock()
	ds.mu.Lock()
	gone := ds.byKey[d.Key] == d
	if gone {
		delete(ds.byKey, d.Key)
	}
	to := ds.to
	ds.mu.Unlock()
	if gone && to != nil {
		to.Lost(d.Key)
	}
}

// found records a device and reports it. It returns the recorded device, and false if there are too many.
func (ds *devices) found(d gateway.Device) (gateway.Device, bool) { return ds.record(d, false) }

// record is found; wanted means that a person typed the address.
func (ds *devices) record(d gateway.Device, wanted bool) (gateway.Device, bool) {
	if !wanted {
		if old, elsewhere := ds.isElsewhere(d); elsewhere { // guard: localsend-moves
			return old, true
		}
	}
	ds.publishing.Lock()
	defer ds.publishing.Unlock()
	ds.mu.Lock()
	to := ds.to
	if to == nil { // the gateway does not serve
		ds.mu.Unlock()
		return gateway.Device{}, false
	}
	var lost []string
	old := ds.byKey[d.Key]
	if old == nil {
		evicted, ok := ds.admitLocked(d, wanted)
		if !ok {
			ds.mu.Unlock()
			return gateway.Device{}, false
		}
		lost = append(lost, evicted...)
	}
	now := &device{Device: d, renamed: time.Now(), heard: time.Now()}
	if old != nil && old.Device == d || old != nil && !wanted && time.Since(old.renamed) < changeEvery { // guard: localsend-names-often
		now.Device, now.renamed = old.Device, old.renamed
	}
	ds.byKey[d.Key] = now
	lost = append(lost, ds.replaceLocked(now.Device)...)
	for _, key := range lost {
		delete(ds.byKey, key)
	}
	ds.mu.Unlock()
	to.Found(now.Device)
	for _, key := range lost {
		to.Lost(key)
	}
	return now.Device, true
}

// replaceLocked returns the keys of the entries that a proven device replaces: those with the same address, another key
// and no session. A stranger replaces no known device.
func (ds *devices) replaceLocked(d gateway.Device) (replaced []string) {
	known := ds.to.Knows(d.Key)
	for key, other := range ds.byKey {
		if key == d.Key || !d.Proven || other.Addr != d.Addr || ds.g.sessions.has(key) {
			continue
		}
		if !known && ds.to.Knows(key) { // guard: localsend-replaces
			continue
		}
		replaced = append(replaced, key)
	}
	return replaced
}

// isElsewhere reports whether a known device is listed at another address, and returns it. Anyone can relay its
// traffic, so files continue to go to the old address until the device no longer answers there. The device may send
// offers from any address.
func (ds *devices) isElsewhere(d gateway.Device) (gateway.Device, bool) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	old := ds.byKey[d.Key]
	if old == nil || old.Addr == d.Addr || ds.to == nil || !ds.to.Knows(d.Key) || ds.ctx == nil || ds.ctx.Err() != nil {
		return gateway.Device{}, false
	}
	if ds.moving[d.Key] {
		return old.Device, true
	}
	ds.moving[d.Key] = true
	ctx := ds.ctx
	ds.running.Go(func() {
		_, err := ds.g.call(ctx, old, http.MethodGet, "info", nil)
		ds.mu.Lock()
		delete(ds.moving, d.Key)
		ds.mu.Unlock()
		if err != nil && ctx.Err() == nil {
			ds.record(d, true) // updated in place, so that an offer from it continues
		}
	})
	return old.Device, true
}

// admitLocked reports whether one more device may be recorded, and which devices it replaces. Strangers do not use up
// the slots of known devices, or of devices whose address a person typed. A stranger replaces one from the address with
// the most devices.
func (ds *devices) admitLocked(d gateway.Device, wanted bool) (evicted []string, ok bool) {
	if wanted || ds.to.Knows(d.Key) {
		return nil, len(ds.byKey) < maxDevices+reservedDevices
	}
	of := map[netip.Addr][]*device{} // strangers without a session, by address
	all := 0                         // devices at the address of d
	from := connlimit.SourceOf(d.Addr.Addr())
	for key, other := range ds.byKey {
		at := connlimit.SourceOf(other.Addr.Addr())
		if at == from {
			all++
		}
		if !ds.to.Knows(key) && !ds.g.sessions.has(key) {
			of[at] = append(of[at], other)
		}
	}
	if all >= maxDevicesAtOne { // guard: localsend-devices-at-one
		return nil, false
	}
	if len(ds.byKey) < maxDevices {
		return nil, true
	}
	var busiest []*device
	for _, some := range of {
		if len(some) > len(busiest) {
			busiest = some
		}
	}
	if len(busiest) <= len(of[from])+1 { // guard: localsend-devices
		return nil, false
	}
	oldest := slices.MinFunc(busiest, func(a, b *device) int { return a.heard.Compare(b.heard) })
	return []string{oldest.Key}, true
}

// forgetAll reports all devices as gone. After that, nothing is recorded.
func (ds *devices) forgetAll() {
	ds.publishing.Lock()
	defer ds.publishing.Unlock()
	ds.mu.Lock()
	all := ds.byKey
	ds.byKey = map[string]*device{}
	to := ds.to
	ds.to = nil
	ds.mu.Unlock()
	for key := range all {
		to.Lost(key)
	}
}

// knownAt returns the key of a known device that is listed at an address, preferably the given key; empty if there is
// none.
func (ds *devices) knownAt(at netip.AddrPort, key string) (known string) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	for listed, d := range ds.byKey {
		if d.Proven && d.Addr == at && ds.to != nil && ds.to.Knows(listed) && known != key {
			known = listed
		}
	}
	return known
}

// confirm keeps the address of a device whose offer was accepted, once the device answers there: an offer only claims a
// port. It never takes over the address of another known device.
func (ds *devices) confirm(d gateway.Device) {
	if before := ds.g.knownAt(d.Addr, d.Key); before != "" && before != d.Key { // guard: localsend-claimed
		return
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ctx := ds.ctx; ctx != nil && ctx.Err() == nil {
		ds.running.Go(func() {
			_, err := ds.g.call(ctx, &device{Device: d}, http.MethodGet, "info", nil)
			if err == nil {
				ds.g.answeredAt(d)
			}
		})
	}
}

// mayAsk returns an error if a device that no one has accepted may not prompt the person now.
func (ds *devices) mayAsk(from source, known bool) error {
	if known {
		return nil
	}
	if ds.questions.isDeclined(from.addr) { // guard: localsend-declined-often
		return engine.ErrDeclined
	}
	if !ds.questions.allow(from.addr) { // guard: localsend-questions
		return engine.ErrBusy
	}
	return nil
}

// mayProbeLocked reports whether a description from an address may cause a request to it: one at a time.
func (ds *devices) mayProbeLocked(at netip.Addr) bool {
	if ds.ctx == nil || ds.ctx.Err() != nil || !ds.g.visible() {
		return false
	}
	if ds.probing[at] || !isNear(at) { // guard: localsend-probes-near
		return false
	}
	return true
}

// takeAnnouncement handles a multicast announcement. Its source can be forged, so it does not count against the limits
// for TCP.
func (ds *devices) takeAnnouncement(at netip.Addr, i deviceInfo) {
	if i.Port != 0 && i.Port < lowestPort { // guard: localsend-ports
		return
	}
	if !ds.probes.Allow() || !ds.announced.allow(at) { // guard: localsend-probes
		return
	}
	ds.probe(at, i)
}

// probe sends this device's description to a device that claims an address, and records that device if it answers with
// the key that it claims.
func (ds *devices) probe(at netip.Addr, i deviceInfo) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if !ds.mayProbeLocked(at) {
		return
	}
	select {
	case ds.slots <- struct{}{}:
	default:
		return
	}
	ds.probing[at] = true
	ctx := ds.ctx
	ds.running.Go(func() {
		defer func() {
			<-ds.slots
			ds.mu.Lock()
			delete(ds.probing, at)
			ds.mu.Unlock()
		}()
		d := &device{Device: source{at, i.Fingerprint}.device(i)}
		own, err := json.Marshal(ds.g.info())
		if err != nil {
			return
		}
		answer, err := ds.g.call(ctx, d, http.MethodPost, "register", own)
		if err != nil {
			ds.g.log.Debug("a device with LocalSend does not answer", "addr", d.Addr, "err", err)
			return
		}
		d.Name = answer.Alias
		ds.found(d.Device)
	})
}

// call makes a request whose answer describes the device.
func (g *Gateway) call(ctx context.Context, d *device, method, what string, body []byte) (deviceInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	client := g.client(d)
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(ctx, method, d.url(what), bytes.NewReader(body))
	if err != nil {
		return deviceInfo{}, err
	}
	r.Header.Set("Content-Type", "application/json")
	res, err := client.Do(r)
	if err != nil {
		return deviceInfo{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		_, _ = io.CopyN(io.Discard, res.Body, maxInfo)
		return deviceInfo{}, fmt.Errorf("the device answered %q", res.Status)
	}
	i, err := parseInfo(res.Body)
	if res.TLS != nil {
		i.seen = fingerprintOf(res.TLS.PeerCertificates[0].Raw)
	}
	return i, err
}

// url is the address of a request, with the zone of a link-local address.
func (d *device) url(what string) string {
	scheme := schemePlain
	if d.Encrypted || d.Proven { // never talk to a proven device without checking its key
		scheme = schemeTLS
	}
	at := strings.Replace(d.Addr.String(), "%", "%25", 1) // RFC 6874
	return scheme + "://" + at + apiPath + what
}

// client returns an HTTP client for one device. It uses no system proxy, follows no redirects, and does not request
// compression.
func (g *Gateway) client(d *device) *http.Client {
	pin := ""
	if d.Proven {
		pin = d.Key
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DisableCompression: true, WriteBufferSize: 256 << 10, TLSClientConfig: g.clientTLS(pin), TLSHandshakeTimeout: headerTimeout,
			MaxConnsPerHost: 2 + uploadsAtOnce, MaxResponseHeaderBytes: 16 << 10,
		},
	}
}
