package identity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"multipeer/internal/boltfile"
	"multipeer/internal/rawpath"

	"github.com/gofrs/flock"
	"go.etcd.io/bbolt"
)

const (
	lockFile  = "lock"
	stateFile = "state.db"
	// maxSeen limits the number of keys that were accepted but not verified. Verified and blocked keys are not limited.
	maxSeen = 10_000
)

var (
	bucketPeers    = []byte("peers")
	bucketSettings = []byte("settings")
	bucketJobs     = []byte("transfers")
)

// Trust is what the user has decided about a key. Only the user raises it.
type Trust string

// The levels of trust.
const (
	Unknown  Trust = ""         // never accepted
	Seen     Trust = "seen"     // accepted once by the user; its key is pinned
	Verified Trust = "verified" // the user has compared its ID or code
	Blocked  Trust = "blocked"  // refused without asking
)

// Auto is what is accepted from a peer without asking.
type Auto struct {
	Bytes int64        `json:"bytes"`           // per day; 0 accepts nothing
	Dir   rawpath.Path `json:"dir"`             // the receiving folder
	Place string       `json:"place,omitempty"` // where that folder was; see transfer.Place
	Until time.Time    `json:"until,omitzero"`  // zero means indefinitely
	Day   time.Time    `json:"day,omitzero"`    // start of the day that Used counts
	Used  int64        `json:"used,omitempty"`
}

// Record is what is stored about one peer.
type Record struct {
	Trust Trust     `json:"trust,omitempty"`
	Name  string    `json:"name,omitempty"` // the name it last used
	Last  time.Time `json:"last"`           // when it was last connected
	Auto  Auto      `json:"auto,omitzero"`  // for verified peers only
	// Addrs are where it was last reached, newest first; hints, like all addresses.
	Addrs [4]netip.AddrPort `json:"addrs,omitzero"`
}

// Profile is an identity with its state, held by one process at a time. Its methods may be called concurrently. A
// profile without a folder keeps everything in memory.
type Profile struct {
	*Identity
	lock *flock.Flock
	db   *boltfile.DB

	writing sync.Mutex // serializes changes; unlike mu, it is held during disk writes
	mu      sync.Mutex
	peers   map[PeerID]Record
	names   map[string][]PeerID // by NameKey; nil until it is needed
	keys    map[string][]string // the keys of names that were compared; see cachedKeysLocked
	jobs    map[string][]byte
	name    string
	// decisions counts the user's decisions about each key; see Accept.
	decisions map[PeerID]int
}

// Ephemeral returns a profile in memory: a new identity that is not saved.
func Ephemeral() (*Profile, error) {
	id, err := New()
	if err != nil {
		return nil, err
	}
	return &Profile{Identity: id, peers: map[PeerID]Record{}, jobs: map[string][]byte{}, decisions: map[PeerID]int{}}, nil
}

// Open opens the profile in dir and creates it on the first start. Only one process can hold it: a second one waits
// for up to a second, in case the first is exiting, and then gets ErrInUse. The caller must close it.
func Open(ctx context.Context, dir string) (*Profile, error) {
	if err := makeDir(dir); err != nil {
		return nil, err
	}
	p := &Profile{lock: flock.New(filepath.Join(dir, lockFile), flock.SetPermissions(0o600)), peers: map[PeerID]Record{}, jobs: map[string][]byte{}, decisions: map[PeerID]int{}}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if ok, err := p.lock.TryLockContext(ctx, 50*time.Millisecond); !ok {
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return nil, fmt.Errorf("locking profile: %w", err)
		}
		return nil, fmt.Errorf("%w: another copy of Multipeer is using %s; quit it or choose another profile folder", ErrInUse, dir)
	}
	if err := p.load(dir); err != nil {
		_ = p.Close()
		return nil, err
	}
	return p, nil
}

func (p *Profile) load(dir string) (err error) {
	statePath := filepath.Join(dir, stateFile)
	_, statErr := os.Lstat(statePath)
	if p.Identity, err = load(dir, errors.Is(statErr, os.ErrNotExist)); err != nil {
		return err
	}
	p.db, err = boltfile.Open(statePath, time.Second)
	if err == nil {
		err = p.read()
	}
	if errors.Is(err, boltfile.ErrDamaged) {
		return fmt.Errorf("%w: opening %s: %w; restore the file from a backup, or remove it to start without known devices", ErrCorrupt, statePath, err)
	}
	if err != nil {
		return fmt.Errorf("opening %s: %w", statePath, err)
	}
	return nil
}

// read reads the whole database into memory.
func (p *Profile) read() error {
	return p.db.Update(func(tx *bbolt.Tx) error {
		peers, err := tx.CreateBucketIfNotExists(bucketPeers)
		if err != nil {
			return err
		}
		settings, err := tx.CreateBucketIfNotExists(bucketSettings)
		if err != nil {
			return err
		}
		p.name = string(settings.Get([]byte("name")))
		jobs, err := tx.CreateBucketIfNotExists(bucketJobs)
		if err != nil {
			return err
		}
		err = jobs.ForEach(func(k, v []byte) error {
			p.jobs[string(k)] = bytes.Clone(v)
			return nil
		})
		if err != nil {
			return err
		}
		return peers.ForEach(func(k, v []byte) error {
			var id PeerID
			var r Record
			if len(k) != len(id) || json.Unmarshal(v, &r) != nil {
				return fmt.Errorf("%w: a record cannot be read", boltfile.ErrDamaged)
			}
			copy(id[:], k)
			if !id.Reserved() {
				p.peers[id] = r
			}
			return nil
		})
	})
}

// Close closes the profile. It is idempotent.
func (p *Profile) Close() error {
	var err error
	if p.db != nil {
		err = p.db.Close()
	}
	if p.lock != nil {
		err = errors.Join(err, p.lock.Unlock())
	}
	return err
}

// Peer returns what is stored about id; the zero Record for a stranger.
func (p *Profile) Peer(id PeerID) Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.peers[id]
}

// Knows reports whether the user has accepted or verified a peer.
func (p *Profile) Knows(id PeerID) bool {
	t := p.Peer(id).Trust
	return t == Seen || t == Verified
}

// Peers returns a copy of all records.
func (p *Profile) Peers() map[PeerID]Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[PeerID]Record, len(p.peers))
	for id, r := range p.peers {
		out[id] = r
	}
	return out
}

// Update changes the record of id and saves it durably. A zero record is deleted. If there are too many peers with
// trust Seen, the one that was connected longest ago is deleted too.
func (p *Profile) Update(id PeerID, change func(*Record)) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	return p.update(id, change)
}

// Decide is Update for a decision of the user about id. From then on, an Accept that results from an earlier action of
// the user does not change the trust.
func (p *Profile) Decide(id PeerID, change func(*Record)) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	p.decisions[id]++
	p.mu.Unlock()
	return p.update(id, change)
}

// Decisions counts the user's decisions about id since the profile was opened.
func (p *Profile) Decisions(id PeerID) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.decisions[id]
}

// Accept stores that the user has accepted the peer id: a stranger gets the trust Seen. decisions is the value of
// Decisions at the time of the user's action. If the user has decided about id since then, the trust stays as it is.
// change changes the rest of the record; it is not called for a peer that stays a stranger.
func (p *Profile) Accept(id PeerID, decisions int, change func(*Record)) error {
	return p.Update(id, func(r *Record) {
		if r.Trust == Unknown && p.Decisions(id) != decisions { // guard: decided-since
			return
		}
		if r.Trust == Unknown {
			r.Trust = Seen
		}
		change(r)
	})
}

// update is Update. p.writing is held.
func (p *Profile) update(id PeerID, change func(*Record)) error {
	p.mu.Lock()
	old := p.peers[id]
	p.mu.Unlock()
	r := old
	change(&r)
	if r == old {
		return nil
	}
	p.mu.Lock()
	forgotten, forget := p.tooManyLocked(id, r)
	p.mu.Unlock()
	changes := map[PeerID]Record{id: r}
	if forget {
		changes[forgotten] = Record{}
	}
	if err := p.put(changes); err != nil {
		return fmt.Errorf("storing peer: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if forget {
		p.names = nil
		delete(p.peers, forgotten)
	}
	if r.Name != old.Name || r.Trust != old.Trust {
		p.names = nil
	}
	if r == (Record{}) {
		delete(p.peers, id)
	} else {
		p.peers[id] = r
	}
	return nil
}

// tooManyLocked returns the Seen peer that has to make room for the new record of id, if one has to.
func (p *Profile) tooManyLocked(id PeerID, r Record) (oldest PeerID, tooMany bool) {
	if r.Trust != Seen || p.peers[id].Trust == Seen {
		return PeerID{}, false
	}
	seen := 0
	for other, o := range p.peers {
		if o.Trust != Seen || other == id {
			continue
		}
		seen++
		if oldest.IsZero() || o.Last.Before(p.peers[oldest].Last) {
			oldest = other
		}
	}
	if seen >= maxSeen { // guard: seen-peers
		return oldest, true
	}
	return PeerID{}, false
}

// put writes records. A zero Record deletes the stored one.
func (p *Profile) put(records map[PeerID]Record) error {
	if p.db == nil {
		return nil
	}
	return p.db.Update(func(tx *bbolt.Tx) error {
		peers := tx.Bucket(bucketPeers)
		for id, r := range records {
			if r == (Record{}) {
				if err := peers.Delete(id[:]); err != nil {
					return err
				}
				continue
			}
			v, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if err := peers.Put(id[:], v); err != nil {
				return err
			}
		}
		return nil
	})
}

// Name returns the display name that the user chose; empty if none.
func (p *Profile) Name() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.name
}

// SetName saves the display name durably.
func (p *Profile) SetName(name string) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	if p.db != nil && name != p.Name() {
		err := p.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucketSettings).Put([]byte("name"), []byte(name)) })
		if err != nil {
			return fmt.Errorf("storing name: %w", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.name = name
	return nil
}

// maxJobs limits the number of stored transfers.
const maxJobs = 2000

// KeepJob durably saves the state of a transfer under its ID, for use after a restart. A nil record deletes it.
func (p *Profile) KeepJob(id string, record []byte) error {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.mu.Lock()
	old, known := p.jobs[id]
	count := len(p.jobs)
	p.mu.Unlock()
	switch {
	case record == nil && !known, record != nil && bytes.Equal(old, record):
		return nil
	case !known && count >= maxJobs:
		return fmt.Errorf("storing transfer: %d are already stored; cancel some", maxJobs)
	}
	if p.db != nil {
		err := p.db.Update(func(tx *bbolt.Tx) error {
			if record == nil {
				return tx.Bucket(bucketJobs).Delete([]byte(id))
			}
			return tx.Bucket(bucketJobs).Put([]byte(id), record)
		})
		if err != nil {
			return fmt.Errorf("storing transfer: %w", err)
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if record == nil {
		delete(p.jobs, id)
	} else {
		p.jobs[id] = bytes.Clone(record)
	}
	return nil
}

// Jobs returns a copy of the stored transfers by ID.
func (p *Profile) Jobs() map[string][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.jobs)
}
