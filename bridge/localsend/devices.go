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
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/internal/connlimit"

	"golang.org/x/time/rate"
)

const (
	// maxDevices is how many devices are listed, maxDevicesAtOne how many of them at one address unless they are known.
	// reservedDevices more may be listed that are known.
	maxDevices      = 128
	maxDevicesAtOne = 4
	reservedDevices = 64
	// renameEvery is how often a device may change its name.
	renameEvery = time.Second
	// checkEvery is how often the devices are asked whether they are there: LocalSend says nothing when it ends.
	checkEvery    = 20 * time.Second
	checkFailures = 3
	probeTimeout  = 2 * time.Second
	// Descriptions come from anyone, and each causes a request to where it came from.
	probeRate   = 5 // per second
	probeBurst  = 30
	probesAtOne = 16 // at once
	// One address may describe itself so often.
	registerRate  = 0.5 // per second
	registerBurst = 10
	maxSources    = 1000 // addresses that are counted
)

// device is a device that was found.
type device struct {
	engine.Device
	failures int
	renamed  time.Time // when its name last changed
}

// devices are the devices that were found.
type devices struct {
	g       *Gateway
	limit   *rate.Limiter
	running sync.WaitGroup
	slots   chan struct{} // one for each probe
	asking  chan struct{} // one for each check

	mu    sync.Mutex
	to    engine.GatewaySink
	ctx   context.Context // of the run
	byKey map[string]*device
	// probing holds the addresses that are being asked, often how often addresses may cause something.
	probing map[netip.Addr]bool
	often   map[netip.Addr]*rate.Limiter
}

func newDevices(g *Gateway) *devices {
	return &devices{
		g: g, limit: rate.NewLimiter(probeRate, probeBurst), slots: make(chan struct{}, probesAtOne), asking: make(chan struct{}, probesAtOne),
		byKey: map[string]*device{}, probing: map[netip.Addr]bool{}, often: map[netip.Addr]*rate.Limiter{},
	}
}

func (ds *devices) begin(to engine.GatewaySink) {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	ds.to = to
}

// run checks from time to time which devices are still there, until ctx ends.
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
	ds.running.Wait()
}

// check asks all devices whether they are there.
func (ds *devices) check(ctx context.Context) {
	ds.mu.Lock()
	all := slices.Collect(maps.Values(ds.byKey))
	ds.mu.Unlock()
	var asking sync.WaitGroup
	for _, d := range all {
		if ds.g.sessions.has(d.Key) { // it is busy
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

// answered counts the failures of a device. At the limit it is gone.
func (ds *devices) answered(d *device, err error) {
	ds.mu.Lock()
	d.failures++
	if err == nil {
		d.failures = 0
	}
	gone := d.failures >= checkFailures && ds.byKey[d.Key] == d
	if gone {
		delete(ds.byKey, d.Key)
	}
	to := ds.to
	ds.mu.Unlock()
	if gone {
		to.Lost(d.Key)
	}
}

// found records a device and reports it. It returns false if there are too many.
func (ds *devices) found(d engine.Device) bool { return ds.record(d, false) }

// record is found; wanted means that a person has typed the address.
func (ds *devices) record(d engine.Device, wanted bool) bool {
	ds.mu.Lock()
	to := ds.to
	if to == nil { // before Run
		ds.mu.Unlock()
		return false
	}
	old := ds.byKey[d.Key]
	if old == nil && !ds.roomForLocked(d, wanted) {
		ds.mu.Unlock()
		return false
	}
	now := &device{Device: d, renamed: time.Now()}
	if old != nil && time.Since(old.renamed) < renameEvery { // guard: localsend-names-often
		now.Name, now.renamed = old.Name, old.renamed
	}
	ds.byKey[d.Key] = now
	var replaced []string // the same device, known by its address or by an older key
	for key, other := range ds.byKey {
		if key != d.Key && d.Proven && other.Addr == d.Addr && !ds.g.sessions.has(key) {
			replaced = append(replaced, key)
			delete(ds.byKey, key)
		}
	}
	ds.mu.Unlock()
	to.Found(now.Device)
	for _, key := range replaced {
		to.Lost(key)
	}
	return true
}

// roomForLocked reports whether one more device may be recorded. What strangers take does not limit known devices, and those
// that a person asks for.
func (ds *devices) roomForLocked(d engine.Device, wanted bool) bool {
	if wanted || ds.to.Knows(d.Key) {
		return len(ds.byKey) < maxDevices+reservedDevices
	}
	if len(ds.byKey) >= maxDevices { // guard: localsend-devices
		return false
	}
	n := 0
	for _, other := range ds.byKey {
		if connlimit.SourceOf(other.Addr.Addr()) == connlimit.SourceOf(d.Addr.Addr()) {
			n++
		}
	}
	return n < maxDevicesAtOne
}

// forgetAll reports all devices as gone.
func (ds *devices) forgetAll() {
	ds.mu.Lock()
	all := ds.byKey
	ds.byKey = map[string]*device{}
	to := ds.to
	ds.mu.Unlock()
	for key := range all {
		to.Lost(key)
	}
}

// mayRegister limits how often an address describes itself.
func (ds *devices) mayRegister(from netip.Addr) bool {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if !ds.oftenLocked(from).Allow() { // guard: localsend-register
		return false
	}
	return true
}

// oftenLocked returns the limit of one address.
func (ds *devices) oftenLocked(from netip.Addr) *rate.Limiter {
	from = connlimit.SourceOf(from)
	l := ds.often[from]
	if l == nil {
		if len(ds.often) >= maxSources {
			ds.often = map[netip.Addr]*rate.Limiter{}
		}
		l = rate.NewLimiter(registerRate, registerBurst)
		ds.often[from] = l
	}
	return l
}

// mayProbeLocked reports whether a description from an address may cause a request to it: one at a time, and few.
func (ds *devices) mayProbeLocked(at netip.Addr) bool {
	if ds.ctx == nil || ds.ctx.Err() != nil || !ds.g.visible() {
		return false
	}
	if ds.probing[at] || !isNear(at) { // guard: localsend-probes-near
		return false
	}
	if !ds.oftenLocked(at).Allow() || !ds.limit.Allow() { // guard: localsend-probes
		return false
	}
	return true
}

// probe describes this device to one that claims to be at an address, and records it if it answers with the key that it
// claims.
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
		return deviceInfo{}, fmt.Errorf("the device answers %q", res.Status)
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
	if d.Encrypted || d.Proven { // a proven device is never spoken to without its key
		scheme = schemeTLS
	}
	return scheme + "://" + d.Addr.String() + apiPath + what
}

// client returns a client for one device. A proxy of the system, redirects and compression are not used.
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
