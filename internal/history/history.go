// Package history keeps conversations: rows in their order, by talk, in a bbolt
// file or in memory alone. Rows of a talk have consecutive numbers, so that a
// screen can show any place of a long conversation without reading the rest.
//
// Writing never waits for the disk: rows that are not committed yet are read
// from memory, and one goroutine commits what has gathered. The exceptions are
// Clear, ClearAll and Close.
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
	berrors "go.etcd.io/bbolt/errors"
)

// Limits. What is above them goes from the oldest end: a peer must not fill the disk with words.
const (
	maxRows   = 200_000
	maxBytes  = 128 << 20 // of the rows of one talk
	maxMemory = 5_000     // rows of one talk without a file
	// maxPending is how many rows wait for the disk before Append and Set wait with them.
	maxPending = 20_000
	// gather is how long the writer waits for more before it commits.
	gather = 200 * time.Millisecond
)

// Talk is what is known of a conversation besides its rows.
type Talk struct {
	Name   string    `json:"name,omitempty"` // of the peer, when last seen
	Last   time.Time `json:"last"`           // the newest row's time
	Unread int       `json:"unread,omitempty"`
	Draft  string    `json:"draft,omitempty"`
	Bytes  int64     `json:"bytes,omitempty"` // of the rows
	// Open are the numbers of own messages that are not delivered yet.
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

// book is where a talk's rows begin and end.
type book struct {
	first, next uint64 // numbers of the oldest row, and of the one after the newest
	talk        Talk
}

// Store holds the conversations of a profile. Its methods may be called concurrently.
type Store struct {
	db *bbolt.DB // nil keeps all in memory

	mu       sync.Mutex
	room     sync.Cond
	books    map[string]*book
	pending  map[key]Row
	talks    map[string]bool // whose Talk has changed
	flushing map[key]Row
	problem  error
	closed   bool

	wake chan struct{}
	done chan struct{}
	disk sync.Mutex // held while something is committed
}

func newStore() *Store {
	s := &Store{books: map[string]*book{}, pending: map[key]Row{}, talks: map[string]bool{}, wake: make(chan struct{}, 1), done: make(chan struct{})}
	s.room.L = &s.mu
	return s
}

// Memory returns a store that forgets everything in the end, and the oldest rows before that.
func Memory() *Store {
	s := newStore()
	close(s.done)
	return s
}

// Open opens the store in a file; it is made if it is missing. One program can have it open at a time.
func Open(path string) (*Store, error) {
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 2 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("history %s: %w", path, err)
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
				return err
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
		return nil, fmt.Errorf("history %s: %w", path, err)
	}
	go s.write()
	return s, nil
}

// Close commits what waits and closes the file. It is idempotent.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.room.Broadcast()
	s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	close(s.wake)
	<-s.done
	err := s.commit()
	return errors.Join(err, s.db.Close())
}

// Problem is why the history cannot be written at the moment; nil if it can. What waits is kept in memory and tried
// again.
func (s *Store) Problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.problem
}

// Kept tells whether rows outlive the program.
func (s *Store) Kept() bool { return s.db != nil }

func (s *Store) book(talk string) *book {
	b := s.books[talk]
	if b == nil {
		b = &book{first: 1, next: 1}
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

// makeRoom waits until the disk has caught up, but not for a disk that fails. Call with mu held.
func (s *Store) makeRoom() {
	for s.db != nil && !s.closed && s.problem == nil && len(s.pending) >= maxPending {
		s.room.Wait()
	}
	if len(s.pending) >= maxPending && s.problem != nil { // nobody can keep it: better the newest than none
		var oldest key
		for k := range s.pending {
			if oldest.talk == "" || k.seq < oldest.seq {
				oldest = k
			}
		}
		delete(s.pending, oldest)
	}
}

// Append adds a row at the end of a talk and returns its number.
func (s *Store) Append(talk string, r Row) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	b := s.book(talk)
	seq := b.next
	b.next++
	b.talk.Last = r.At
	b.talk.Bytes += weight(r)
	s.pending[key{talk, seq}] = r
	s.talks[talk] = true
	s.trim(talk, b)
	s.changed()
	return seq
}

// Set replaces a row, unless it is gone already.
func (s *Store) Set(talk string, seq uint64, r Row) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.makeRoom()
	if b := s.book(talk); seq < b.first || seq >= b.next {
		return
	}
	s.pending[key{talk, seq}] = r
	s.changed()
}

// trim lets the oldest rows of a talk go. Those on disk are deleted with the next commit. Call with mu held.
func (s *Store) trim(talk string, b *book) {
	limit := uint64(maxRows)
	if s.db == nil {
		limit = maxMemory
	}
	n := b.next - b.first
	if n <= limit && b.talk.Bytes <= maxBytes {
		return
	}
	to := b.first + max(1, n/20)
	for _, r := range s.read(talk, b.first, to) {
		b.talk.Bytes -= weight(r)
	}
	for seq := b.first; seq < to; seq++ {
		delete(s.pending, key{talk, seq})
	}
	b.first = to
}

// Bounds tells the numbers of a talk's rows: from first up to, but without, next.
func (s *Store) Bounds(talk string) (first, next uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[talk]
	if b == nil {
		return 1, 1
	}
	return b.first, b.next
}

// Rows reads up to n rows from number from on; there are fewer at the end of the talk.
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
	return s.read(talk, from, to)
}

// read reads rows that are there. Call with mu held, which the disk's writer does not hold while it writes.
func (s *Store) read(talk string, from, to uint64) []Row {
	out, missing := make([]Row, to-from), false
	got := make([]bool, to-from)
	for i := range out {
		k := key{talk, from + uint64(i)}
		r, ok := s.pending[k]
		if !ok {
			r, ok = s.flushing[k]
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
				_ = json.Unmarshal(v, &out[i]) // a damaged row shows as an empty one
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

// Update changes what is known of a talk. Last and Bytes are kept by the store.
func (s *Store) Update(talk string, change func(*Talk)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.book(talk)
	last, size := b.talk.Last, b.talk.Bytes
	change(&b.talk)
	b.talk.Last, b.talk.Bytes = last, size
	s.talks[talk] = true
	s.changed()
}

// Clear forgets a talk with its rows, durably when it returns. Until the store is opened anew the numbers of rows go
// on: nothing that still has one finds another row under it.
func (s *Store) Clear(talk string) error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	if b := s.books[talk]; b != nil {
		s.books[talk] = &book{first: b.next, next: b.next}
	}
	delete(s.talks, talk)
	maps.DeleteFunc(s.pending, func(k key, _ Row) bool { return k.talk == talk })
	s.mu.Unlock()
	if s.db == nil {
		return nil
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(talksBucket).Delete([]byte(talk)); err != nil {
			return err
		}
		if err := tx.Bucket(rowsBucket).DeleteBucket([]byte(talk)); !errors.Is(err, berrors.ErrBucketNotFound) {
			return err
		}
		return nil
	})
}

// ClearAll forgets everything, durably when it returns.
func (s *Store) ClearAll() error {
	var all error
	for talk := range s.Talks() {
		all = errors.Join(all, s.Clear(talk))
	}
	return all
}

// Search finds the newest rows with a text, in messages and names, whatever the case; at most limit of each talk. It
// reads everything: call it where that may take a while.
func (s *Store) Search(ctx context.Context, text string, limit int) []Hit {
	text = strings.ToLower(strings.TrimSpace(text))
	if text == "" {
		return nil
	}
	var hits []Hit
	for talk := range s.Talks() {
		first, next := s.Bounds(talk)
		found := 0
		const page = 1000
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
