//go:build !linux

package mdns

import (
	"context"
	"sync/atomic"
)

// systemEvents adds nothing to polling here.
func systemEvents(context.Context, chan<- struct{}, *atomic.Bool) {}
