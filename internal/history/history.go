// Package history stores conversations, called talks: rows in order, in a bbolt file or only in memory. Rows of a talk
// have consecutive numbers, so that a screen can show any part of a long conversation without reading the rest.
//
// Writing does not wait for the disk: rows that are not committed yet are read from memory, and one goroutine commits
// them in batches. The exceptions are Clear, ClearAll and Close.
package history

import (
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"multipeer/internal/boltfile"
)

// Limits. Beyond them, the oldest rows are deleted: neither one peer nor many peers may fill the disk.
const (
	maxRows   = 200_000
	maxBytes  = 128 << 20 // of the rows of one talk
	maxMemory = 5_000     // rows of one talk without a file
	// checkEvery is how many bytes are added before the limits for all talks together are checked.
	checkEvery = 1 << 20
)

// limits apply to all talks together. One-sided talks are dropped first, then the oldest rows of the largest talk.
type limits struct {
	rows          int   // of one talk
	rowBytes      int64 // of the rows of one talk
	heldTalks     int   // talks that are held
	heldRows      int   // rows per held talk
	oneSided      int   // one-sided talks
	oneSidedBytes int64 // bytes of their rows
	bytes         int64 // of the rows of all talks
}

var defaultLimits = limits{rows: maxRows, rowBytes: maxBytes, heldTalks: 200, heldRows: 20, oneSided: 2_000, oneSidedBytes: 64 << 20, bytes: 512 << 20}

const (
	// maxPending is how many rows may wait for the disk before Append and Set block.
	maxPending = 20_000
	// gather is how long the writer waits for more rows before it commits.
	gather = 200 * time.Millisecond
)

// Talk is what is stored about a conversation in addition to its rows.
type Talk struct {
	Name   string    `json:"name,omitempty"` // of the peer, as last seen
	Last   time.Time `json:"last"`           // time of the newest row
	Own    time.Time `json:"own,omitzero"`   // time of the newest own row
	Unread int       `json:"unread,omitempty"`
	Draft  string    `json:"draft,omitempty"`
	Bytes  int64     `json:"bytes,omitempty"` // size of the rows
	// OneSided is set while only the peer has sent anything. Many such talks must not displace others: if there are too
	// many, the oldest ones are dropped. The store sets it, and clears it with the first own row; a caller that knows
	// the peer better can clear it with Update.
	OneSided bool `json:"one_sided,omitempty"`
	// Open holds the numbers of own messages that are not delivered yet.
	Open []uint64 `json:"open,omitempty"`
}

// Hit is a row that a search found.
type Hit struct {
	Talk string
	Seq  uint64
	Row  Row
}

type key struct {
	talk string
	seq  uint64
}

// book is the range of a talk's rows.
type book struct {
	first, next uint64 // numbers of the oldest row, and of the one after the newest
	talk        Talk
	held        bool             // the talk is not written to disk
	shares      map[string]share // the rows of each sender; nil until needed
}

// Store holds the conversations of a profile. Its methods may be called concurrently.
type Store struct {
	db *boltfile.DB // nil keeps everything in memory

	mu       sync.Mutex
	written  sync.Cond
	books    map[string]*book
	pending  map[key]Row
	held     map[key]Row     // rows of the held talks
	talks    map[string]bool // talks whose Talk has changed
	dropped  map[string]bool // talks that were dropped, to be deleted by the next commit
	floor    uint64          // first number for new talks: the number of a row of a dropped talk never refers to another row
	added    int64           // bytes since the limits were last checked
	limits   limits
	flushing map[key]Row
	problem  error
	report   func(error) // see OnProblem
	closed   bool

	wake chan struct{}
	done chan struct{}
	disk sync.Mutex // held during a commit
}

func newStore() *Store {
	s := &Store{books: map[string]*book{}, pending: map[key]Row{}, held: map[key]Row{}, talks: map[string]bool{}, dropped: map[string]bool{}, floor: 1, limits: defaultLimits, wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.written.L = &s.mu
	return s
}

// Memory returns a store that keeps rows only while the program runs, and only the newest ones.
func Memory() *Store {
	s := newStore()
	close(s.done)
	return s
}

// Open opens the store in a file, and creates it if it is missing. Only one program can have it open at a time.
func Open(path string) (*Store, error) {
	db, err := boltfile.Open(path, 2*time.Second)
	if err != nil {
		return nil, openError(path, err)
	}
	s := newStore()
	s.db = db
	err = db.Update(func(tx *bbolt.Tx) error {
		rows, err := tx.CreateBucketIfNotExists(rowsBucket)
		if err != nil {
			return err
		}
		talks, err := tx.CreateBucketIfNotExists(talksBucket)
		if err != nil {
			return err
		}
		return talks.ForEach(func(name, v []byte) error {
			b := &book{first: 1, next: 1}
			if err := json.Unmarshal(v, &b.talk); err != nil {
				return fmt.Errorf("%w: a conversation cannot be read: %w", boltfile.ErrDamaged, err)
			}
			if bucket := rows.Bucket(name); bucket != nil {
				c := bucket.Cursor()
				if k, _ := c.First(); k != nil {
					last, _ := c.Last()
					b.first, b.next = binary.BigEndian.Uint64(k), binary.BigEndian.Uint64(last)+1
				}
			}
			s.books[string(name)] = b
			return nil
		})
	})
	if err != nil {
		_ = db.Close()
		return nil, openError(path, err)
	}
	go s.write()
	return s, nil
}

func openError(path string, err error) error {
	if errors.Is(err, boltfile.ErrDamaged) {
		return fmt.Errorf("opening the history %s: %w; restore the file from a backup, or move it away to start with an empty history", path, err)
	}
	return fmt.Errorf("opening the history %s: %w", path, err)
}

// Close commits pending changes and closes the file. It is idempotent.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.written.Broadcast()
	s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	close(s.wake)
	<-s.done
	err := s.commit()
	return errors.Join(err, s.db.Close())
}

// Problem returns why the history currently cannot be written; nil if it can. Pending changes are kept in memory and
// retried.
func (s *Store) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// OnProblem calls f, on a goroutine of the store, when the history cannot be written any more, and with nil when it can
// again. If it cannot be written now, f is called at once. f must not call Clear, ClearAll or Close, which wait for f.
func (s *Store) OnProblem(f func(error)) {
	s.mu.Lock()
	s.report = f
	problem := s.problem
	s.mu.Unlock()
	if problem != nil {
		f(problem)
	}
}

// Kept reports whether rows outlive the program.
func (s *Store) Kept() bool { return s.db != nil }

// bookLocked returns the book of a talk, and creates it if needed.
func (s *Store) bookLocked(talk string) *book {
	b := s.books[talk]
	if b == nil {
		b = &book{first: s.floor, next: s.floor}
		s.books[talk] = b
	}
	return b
}

func (s *Store) changed() {
	if s.db == nil || s.closed {
		return
	}
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// awaitDiskLocked waits until the disk has caught up, unless the disk fails.
func (s *Store) awaitDiskLocked() {
	for s.db != nil && !s.closed && s.problem == nil && len(s.pending) >= maxPending {
		s.written.Wait()
	}
	if len(s.pending) >= maxPending && s.problem != nil { // they cannot be saved, so drop the oldest
		var oldest key
		for k := range s.pending {
			if oldest.talk == "" || k.seq < oldest.seq {
				oldest = k
			}
		}
		delete(s.pending, oldest)
	}
}

// Append adds a row at the end of a conversation and returns its number. A conversation that was held in memory is
// saved from then on.
func (s *Store) Append(talk string, r Row) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaitDiskLocked()
	known := s.books[talk] != nil
	b := s.bookLocked(talk)
	if !known || b.held || b.first == b.next && b.talk.Last.IsZero() {
		b.talk.OneSided = b.talk.Draft == ""
	}
	s.keepLocked(talk, b)
	seq := b.next
	b.next++
	b.talk.Last = r.At
	if r.Own {
		b.talk.Own = r.At
	}
	b.talk.Bytes += weight(r)
	b.talk.OneSided = b.talk.OneSided && !r.Own
	b.count(r, 1)
	s.pending[key{talk, seq}] = r
	s.talks[talk] = true
	s.trimLocked(talk, b)
	if s.added += weight(r); !known || s.added >= checkEvery {
		s.added = 0
		s.enforceLocked(talk)
	}
	s.changed()
	return seq
}

// Set replaces a row, unless it was deleted, or a different row now has its number (see thinLocked).
func (s *Store) Set(talk string, seq uint64, r Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.awaitDiskLocked()
	b := s.books[talk]
	switch {
	case b == nil || seq < b.first || seq >= b.next:
	case b.held:
		s.held[key{talk, seq}] = r
	case !s.readLocked(talk, seq, seq+1)[0].is(r):
	default:
		s.pending[key{talk, seq}] = r
		s.changed()
	}
}

// trimLocked removes rows of a talk that is too long. Rows on disk are deleted with the next commit.
func (s *Store) trimLocked(talk string, b *book) {
	limit := uint64(s.limits.rows)
	if s.db == nil {
		limit = maxMemory
	}
	if b.next-b.first > limit {
		s.cutLocked(talk, b, byRows)
	} else if b.talk.Bytes > s.limits.rowBytes {
		s.cutLocked(talk, b, byBytes)
	}
}

// cutLocked removes old rows of a talk. In a talk with several peers, it removes those of the senders with the most
// rows by the given measure. In a talk with a single peer, it removes the oldest twentieth, so that the other rows keep
// their numbers.
func (s *Store) cutLocked(talk string, b *book, m measure) {
	s.shareLocked(talk, b)
	if b.peers() > 1 && s.thinLocked(talk, b, m) { // guard: history-by-sender
		return
	}
	n := b.next - b.first
	to := b.first + max(1, n/20)
	for _, r := range s.readLocked(talk, b.first, to) {
		b.talk.Bytes -= weight(r)
		b.count(r, -1)
	}
	for seq := b.first; seq < to; seq++ {
		delete(s.pending, key{talk, seq})
	}
	b.first = to
	s.talks[talk] = true
}

// Bounds returns the numbers of a talk's rows: from first up to, but not including, next.
func (s *Store) Bounds(talk string) (first, next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[talk]
	if b == nil {
		return s.floor, s.floor
	}
	return b.first, b.next
}

// Rows returns up to n rows, starting with number from; fewer at the end of the talk.
func (s *Store) Rows(talk string, from uint64, n int) []Row {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[talk]
	if b == nil {
		return nil
	}
	from = max(from, b.first)
	to := min(from+uint64(max(0, n)), b.next)
	if to <= from {
		return nil
	}
	return s.readLocked(talk, from, to)
}

// readLocked reads existing rows. The disk writer does not hold mu while it writes.
func (s *Store) readLocked(talk string, from, to uint64) []Row {
	out, missing := make([]Row, to-from), false
	got := make([]bool, to-from)
	for i := range out {
		k := key{talk, from + uint64(i)}
		r, ok := s.pending[k]
		if !ok {
			r, ok = s.flushing[k]
		}
		if !ok {
			r, ok = s.held[k]
		}
		out[i], got[i] = r, ok
		missing = missing || !ok
	}
	if !missing || s.db == nil {
		return out
	}
	_ = s.db.View(func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(rowsBucket).Bucket([]byte(talk))
		if bucket == nil {
			return nil
		}
		c := bucket.Cursor()
		for k, v := c.Seek(number(from)); k != nil; k, v = c.Next() {
			seq := binary.BigEndian.Uint64(k)
			if seq >= to {
				break
			}
			if i := seq - from; !got[i] {
				_ = json.Unmarshal(v, &out[i]) // a damaged row is shown as empty
			}
		}
		return nil
	})
	return out
}

// Talks returns all conversations.
func (s *Store) Talks() map[string]Talk {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make(map[string]Talk, len(s.books))
	for id, b := range s.books {
		if b.first == b.next && b.talk.Draft == "" { // cleared
			continue
		}
		t := b.talk
		t.Open = slices.Clone(t.Open)
		out[id] = t
	}
	return out
}

// Update changes what is stored about a talk. The store maintains Last, Own and Bytes. A talk without rows exists if it
// has a draft; a held talk is stored from then on if it gets one.
func (s *Store) Update(talk string, change func(*Talk)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.books[talk] != nil
	b := s.bookLocked(talk)
	last, own, size := b.talk.Last, b.talk.Own, b.talk.Bytes
	change(&b.talk)
	b.talk.Last, b.talk.Own, b.talk.Bytes = last, own, size
	if b.talk.Draft != "" {
		s.keepLocked(talk, b)
	} else if !known {
		delete(s.books, talk)
		return
	}
	s.talks[talk] = true
	s.changed()
}

// Clear durably deletes a talk with its rows. Until the store is reopened, row numbers continue: an old number never
// refers to another row.
func (s *Store) Clear(talk string) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	if b := s.books[talk]; b != nil {
		s.books[talk] = &book{first: b.next, next: b.next}
	}
	delete(s.talks, talk)
	maps.DeleteFunc(s.pending, func(k key, _ Row) bool { return k.talk == talk })
	maps.DeleteFunc(s.held, func(k key, _ Row) bool { return k.talk == talk })
	s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error { return deleteTalk(tx, talk) })
}

// ClearAll durably deletes everything.
func (s *Store) ClearAll() error {
	var all error
	for talk := range s.Talks() {
		all = errors.Join(all, s.Clear(talk))
	}
	return all
}

// Search returns the newest rows whose message or names contain the text, ignoring case; at most limit per talk. It
// reads all rows, which may take a while.
func (s *Store) Search(ctx context.Context, text string, limit int) []Hit {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	var hits []Hit
	for talk := range s.Talks() {
		first, next := s.Bounds(talk)
		found := 0
		for next > first && found < limit && ctx.Err() == nil {
			from := max(first, next-min(page, next))
			rows := s.Rows(talk, from, int(next-from))
			for i := len(rows) - 1; i >= 0 && found < limit; i-- {
				if rows[i].has(text) {
					hits = append(hits, Hit{talk, from + uint64(i), rows[i]})
					found++
				}
			}
			next = from
		}
	}
	slices.SortFunc(hits, func(a, b Hit) int { return cmp.Or(b.Row.At.Compare(a.Row.At), cmp.Compare(b.Seq, a.Seq)) })
	return hits
}
