package localsend

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// addressFile stores which device has answered at each address.
const addressFile = "localsend-addresses.json"

const (
	// maxAddresses is how many addresses are stored.
	maxAddresses = 256
	// addressesOfOne is how many of these are stored for one device.
	addressesOfOne = 4
)

// addresses holds the keys of devices by the address at which they answered. A person has typed the address, sent to
// it, or accepted an offer from it. If the person types it again and the device is known by then, no other device that
// answers there can take its place.
type addresses struct {
	dir   string                // empty means that the addresses are not stored
	known func(key string) bool // reports whether the person has accepted a device; called with mu locked

	mu    sync.Mutex
	keyOf map[netip.AddrPort]string
}

// loadAddresses reads the addresses from a folder. A damaged file counts as empty.
func loadAddresses(dir string, known func(key string) bool) *addresses {
	as := &addresses{dir: dir, known: known, keyOf: map[netip.AddrPort]string{}}
	if dir == "" {
		return as
	}
	text, err := os.ReadFile(filepath.Join(dir, addressFile))
	if err == nil {
		err = json.Unmarshal(text, &as.keyOf)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) || as.keyOf == nil {
		as.keyOf = map[netip.AddrPort]string{}
	}
	return as
}

// ofKeyLocked returns the addresses of a device.
func (as *addresses) ofKeyLocked(key string) (all []netip.AddrPort) {
	for at, k := range as.keyOf {
		if k == key {
			all = append(all, at)
		}
	}
	return all
}

// leastWantedLocked returns the address to drop first.
func (as *addresses) leastWantedLocked() (least netip.AddrPort) {
	count := map[string]int{}
	for _, key := range as.keyOf {
		count[key]++
	}
	most := 0
	for at, key := range as.keyOf {
		n := count[key]
		if !as.known(key) { // guard: localsend-addresses-known
			n += maxAddresses
		}
		if n > most {
			most, least = n, at
		}
	}
	return least
}

// of returns the key of the device that answered at an address; empty if there is none.
func (as *addresses) of(at netip.AddrPort) string {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.keyOf[at]
}

// keep stores which device answers at an address. If there is no room, it drops an address of a device that the person
// has not accepted, or else of the device with the most addresses: a device that uses many addresses replaces only its
// own.
func (as *addresses) keep(at netip.AddrPort, key string) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	before := as.keyOf[at]
	if before == key || as.known(before) && !as.known(key) { // guard: localsend-address-taken
		return nil
	}
	if own := as.ofKeyLocked(key); len(own) >= addressesOfOne { // guard: localsend-addresses-of-one
		delete(as.keyOf, own[0])
	}
	for len(as.keyOf) >= maxAddresses {
		delete(as.keyOf, as.leastWantedLocked())
	}
	as.keyOf[at] = key
	if as.dir == "" {
		return nil
	}
	text, err := json.Marshal(as.keyOf)
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(as.dir, addressFile), text)
}
