//go:build !linux

package mdns

import (
	"errors"
	"net/netip"
)

// systemPrefixes is not available on this system; package net lists the addresses instead.
func systemPrefixes() (map[int][]netip.Prefix, error) { return nil, errors.ErrUnsupported }
