//go:build !linux

package discovery

import "context"

// systemEvents has nothing to add to the poll here.
func systemEvents(context.Context, chan<- struct{}) {}
