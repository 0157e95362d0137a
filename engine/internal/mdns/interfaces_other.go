//go:build !linux

package mdns

import (
	"errors"
	"net/netip"
)

// systemPrefixes has no better way than package net here.
func systemPrefixes() (map[int][]netip.Prefix, error) { return nil, errors.ErrUnsupported }
