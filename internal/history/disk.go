package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// Rows and talks are written to disk in batches, by one goroutine.

var (
	rowsBucket  = []byte("rows")
	talksBucket = []byte("talks")
)

// write commits pending changes until Close.
func (s *Store) write() {
	defer close(s.done)
	for range s.wake {
		pause := time.NewTimer(gather)
		for waiting := true; waiting; {
			select {
			case _, open := <-s.wake:
				if !open {
					pause.Stop()
					return // Close commits the rest
				}
			case <-pause.C:
				waiting = false
			}
		}
		if s.commit() != nil {
			time.AfterFunc(5*time.Second, func() { s.mu.Lock(); s.changed(); s.mu.Unlock() })
		}
	}
}

// commit writes pending changes to disk. If that fails, they stay pending.
func (s *Store) commit() error {
	s.disk.Lock()
	defer s.disk.Unlock()
	s.mu.Lock()
	rows := s.pending
	s.pending, s.flushing = map[key]Row{}, rows
	type change struct {
		talk  Talk
		first uint64
	}
	talks := map[string]change{}
	for id := range s.talks {
		if b := s.books[id]; b != nil && !b.held {
			talks[id] = change{b.talk, b.first}
		}
	}
	clear(s.talks)
	dropped := s.dropped
	s.dropped = map[string]bool{}
	s.mu.Unlock()
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for id := range dropped {
			if err := deleteTalk(tx, id); err != nil {
				return err
			}
		}
		for k, r := range rows {
			bucket, err := tx.Bucket(rowsBucket).CreateBucketIfNotExists([]byte(k.talk))
			if err != nil {
				return err
			}
			v, err := json.Marshal(r)
			if err != nil {
				return err
			}
			if err := bucket.Put(number(k.seq), v); err != nil {
				return err
			}
		}
		for id, c := range talks {
			v, err := json.Marshal(c.talk)
			if err != nil {
				return err
			}
			if err := tx.Bucket(talksBucket).Put([]byte(id), v); err != nil {
				return err
			}
			if bucket := tx.Bucket(rowsBucket).Bucket([]byte(id)); bucket != nil {
				if err := dropBefore(bucket, c.first); err != nil {
					return err
				}
			}
		}
		return nil
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushing = nil
	if report := s.report; report != nil && (err == nil) != (s.problem == nil) {
		defer func() { // after the lock is released
			s.mu.Unlock()
			report(err)
			s.mu.Lock()
		}()
	}
	s.problem = err
	if err != nil {
		for k, r := range rows {
			b := s.books[k.talk]
			if _, newer := s.pending[k]; !newer && b != nil && k.seq >= b.first {
				s.pending[k] = r
			}
		}
		for id := range talks {
			s.talks[id] = true
		}
		for id := range dropped {
			s.dropped[id] = true
		}
	}
	s.written.Broadcast()
	return err
}

// deleteTalk deletes a talk with its rows, if it exists.
func deleteTalk(tx *bbolt.Tx, talk string) error {
	if err := tx.Bucket(talksBucket).Delete([]byte(talk)); err != nil {
		return err
	}
	if err := tx.Bucket(rowsBucket).DeleteBucket([]byte(talk)); err != nil && !errors.Is(err, berrors.ErrBucketNotFound) {
		return err
	}
	return nil
}

func dropBefore(bucket *bbolt.Bucket, first uint64) error {
	c := bucket.Cursor()
	for k, _ := c.First(); k != nil && bytes.Compare(k, number(first)) < 0; k, _ = c.First() {
		if err := c.Delete(); err != nil {
			return err
		}
	}
	return nil
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }
