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

	"golang.org/x/time/rate"
)

const (
	maxDevices = 128
	// checkEvery is how often the devices are asked whether they are there: LocalSend says nothing when it ends.
	checkEvery    = 20 * time.Second
	checkFailures = 3
	probeTimeout  = 2 * time.Second
	// Descriptions come from anyone, and each causes a request to where it came from.
	probeRate   = 5 // per second
	probeBurst  = 30
	probesAtOne = 16 // at once
)

// device is a device that was found.
type device struct {
	engine.Device
	scheme   string
	failures int
}

// devices are the devices that were found.
type devices struct {
	g       *Gateway
	limit   *rate.Limiter
	running sync.WaitGroup
	slots   chan struct{} // one for each probe

	mu    sync.Mutex
	to    engine.GatewaySink
	ctx   context.Context // of the run
	byKey map[string]*device
}

func newDevices(g *Gateway) *devices {
	return &devices{
		g: g, limit: rate.NewLimiter(probeRate, probeBurst), slots: make(chan struct{}, probesAtOne), byKey: map[string]*device{},
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
		ds.check(ctx)
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
		case ds.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		asking.Go(func() {
			defer func() { <-ds.slots }()
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
func (ds *devices) found(d engine.Device, scheme string) bool {
	ds.mu.Lock()
	if ds.to == nil { // before Run
		ds.mu.Unlock()
		return false
	}
	if ds.byKey[d.Key] == nil && len(ds.byKey) >= maxDevices { // guard: localsend-devices
		ds.mu.Unlock()
		return false
	}
	ds.byKey[d.Key] = &device{Device: d, scheme: scheme}
	var replaced []string // the same device, known by its address or by an older key
	for key, other := range ds.byKey {
		if key != d.Key && d.Proven && other.Addr == d.Addr && !ds.g.sessions.has(key) {
			replaced = append(replaced, key)
			delete(ds.byKey, key)
		}
	}
	to := ds.to
	ds.mu.Unlock()
	to.Found(d)
	for _, key := range replaced {
		to.Lost(key)
	}
	return true
}

// foundSender records a device that makes an offer.
func (ds *devices) foundSender(d engine.Device, scheme string) { ds.found(d, scheme) }

// of returns the device with a key.
func (ds *devices) of(key string) *device {
	ds.mu.Lock()
	defer ds.mu.Unlock()
	return ds.byKey[key]
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

// probe tells a device that claims to be at an address about this one, and records it if it answers with the key that
// it claims.
func (ds *devices) probe(at netip.Addr, i deviceInfo) {
	ds.mu.Lock()
	ctx := ds.ctx
	ds.mu.Unlock()
	if ctx == nil || ctx.Err() != nil || !isNear(at) || !ds.limit.Allow() { // guard: localsend-probes
		return
	}
	select {
	case ds.slots <- struct{}{}:
	default:
		return
	}
	ds.running.Go(func() {
		defer func() { <-ds.slots }()
		d := &device{Device: engine.Device{Key: i.Fingerprint, Name: i.Alias, Addr: portOf(at, i.Port), Proven: true, Encrypted: true}, scheme: schemeOf(i)}
		if d.scheme == schemePlain {
			d.Key, d.Proven, d.Encrypted = unprovenKey(at), false, false
		}
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
		ds.found(d.Device, d.scheme)
	})
}

// schemeOf is how a device is spoken to.
func schemeOf(i deviceInfo) string {
	if i.Protocol == schemePlain {
		return schemePlain
	}
	return schemeTLS
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
func (d *device) url(what string) string { return d.scheme + "://" + d.Addr.String() + apiPath + what }

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
