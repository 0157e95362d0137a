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

// addressFile keeps which device has answered at an address.
const addressFile = "localsend-addresses.json"

// maxAddresses is how many addresses are kept.
const maxAddresses = 256

// addresses are the keys of devices by the addresses where they have answered: because a person has typed the address,
// has sent something there, or has accepted an offer from there. When a person types such an address again, a device that is known by then is not
// replaced by another one that answers there.
type addresses struct {
	dir string // empty: they are not kept

	mu    sync.Mutex
	keyOf map[netip.AddrPort]string
}

// loadAddresses reads them from a folder. A damaged file is like none.
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

// keep records which device answers at an address.
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
