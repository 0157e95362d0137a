package localsend

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
)

// addressFile stores which device has answered at each address.
const addressFile = "localsend-addresses.json"

// maxAddresses is how many addresses are stored.
const maxAddresses = 256

// addresses holds the keys of devices by the address at which they answered. A person has typed the address, sent to
// it, or accepted an offer from it. If the person types it again and the device is known by then, no other device that
// answers there can take its place.
type addresses struct {
	dir string // empty means that the addresses are not stored

	mu    sync.Mutex
	keyOf map[netip.AddrPort]string
}

// loadAddresses reads the addresses from a folder. A damaged file counts as empty.
func loadAddresses(dir string) *addresses {
	as := &addresses{dir: dir, keyOf: map[netip.AddrPort]string{}}
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

// of returns the key of the device that answered at an address; empty if there is none.
func (as *addresses) of(at netip.AddrPort) string {
	as.mu.Lock()
	defer as.mu.Unlock()
	return as.keyOf[at]
}

// keep stores which device answers at an address.
func (as *addresses) keep(at netip.AddrPort, key string) error {
	as.mu.Lock()
	defer as.mu.Unlock()
	if as.keyOf[at] == key {
		return nil
	}
	for old := range maps.Keys(as.keyOf) {
		if len(as.keyOf) < maxAddresses {
			break
		}
		delete(as.keyOf, old)
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
