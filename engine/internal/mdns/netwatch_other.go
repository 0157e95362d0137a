//go:build !linux

package mdns

import (
	"context"
	"sync/atomic"
)

// systemEvents does nothing on this system: polling detects changes.
func systemEvents(context.Context, chan<- struct{}, *atomic.Bool) {}
