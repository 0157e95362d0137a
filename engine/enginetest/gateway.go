package enginetest

import (
	"context"
	"fmt"
	"io"
	"sync"

	"multipeer/engine/gateway"
	"multipeer/transfer"
)

// Gateway is a simulated gateway.Gateway, for Config.Gateways. The test drives its devices by calling Sink. Its
// methods may be called concurrently.
type Gateway struct {
	// Answer decides whether a device accepts what the engine offers to it; a non-nil error declines it. If Answer
	// is nil, every offer is accepted. It may block until ctx ends.
	Answer func(ctx context.Context, to gateway.Device) error

	ready chan struct{} // closed when Run has begun
	mu    sync.Mutex
	self  gateway.Self
	sink  gateway.Sink
	files map[string]map[string]string // what devices got, by key and path
	texts map[string][]string
	held  chan struct{} // closed when SendText may continue; nil means that it does not wait
}

// NewGateway returns a gateway without devices.
func NewGateway() *Gateway {
	return &Gateway{ready: make(chan struct{}), files: map[string]map[string]string{}, texts: map[string][]string{}}
}

// Name is the name of the protocol.
func (g *Gateway) Name() string { return "Simulation" }

// Run serves until ctx ends.
func (g *Gateway) Run(ctx context.Context, self gateway.Self, to gateway.Sink) error {
	g.mu.Lock()
	g.self, g.sink = self, to
	g.mu.Unlock()
	close(g.ready)
	<-ctx.Done()
	return nil
}

// Update replaces what is announced.
func (g *Gateway) Update(self gateway.Self) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.self = self
}

// Self returns what is announced.
func (g *Gateway) Self() gateway.Self {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.self
}

// Sink returns the sink to which a test reports what its devices do. It blocks until Run has started.
func (g *Gateway) Sink() gateway.Sink {
	<-g.ready
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sink
}

// Send keeps the files for Files.
func (g *Gateway) Send(ctx context.Context, to gateway.Device, out gateway.Outgoing) (result transfer.Result, err error) {
	if g.Answer != nil {
		if err := g.Answer(ctx, to); err != nil {
			return result, err
		}
	}
	out.Accepted()
	for e, err := range out.Listing.Entries(ctx) {
		switch {
		case err != nil:
			return result, err
		case e.Err != nil:
			return result, e.Err
		case e.Folder:
			result.Folders++
			continue
		}
		f, _, err := out.Listing.Open(e.Path)
		if err != nil {
			return result, err
		}
		b, err := io.ReadAll(f)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return result, fmt.Errorf("reading %s: %w", e.Path, err)
		}
		g.mu.Lock()
		if g.files[to.Key] == nil {
			g.files[to.Key] = map[string]string{}
		}
		g.files[to.Key][e.Path] = string(b)
		g.mu.Unlock()
		result.Files++
		result.Bytes += int64(len(b))
		out.OnProgress(transfer.Progress{Phase: transfer.Moving, Bytes: result.Bytes, Files: result.Files})
	}
	return result, nil
}

// Hold makes SendText wait until it is called again with false.
func (g *Gateway) Hold(on bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if on {
		g.held = make(chan struct{})
	} else {
		close(g.held)
	}
}

// SendText keeps the text for Texts.
func (g *Gateway) SendText(ctx context.Context, to gateway.Device, text string) error {
	g.mu.Lock()
	held := g.held
	g.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.texts[to.Key] = append(g.texts[to.Key], text)
	return nil
}

// Files returns what a device got, by path.
func (g *Gateway) Files(key string) map[string]string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.files[key]
}

// Texts returns the text that a device got, message by message.
func (g *Gateway) Texts(key string) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.texts[key]
}
