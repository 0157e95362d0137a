package history

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"time"

	"go.etcd.io/bbolt"
)

// How rows and talks get to the disk: in groups, by one goroutine.

var (
	rowsBucket  = []byte("rows")
	talksBucket = []byte("talks")
)

// write commits what gathers until Close.
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

// commit brings what waits to the disk. What fails waits on.
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
		if b := s.books[id]; b != nil {
			talks[id] = change{b.talk, b.first}
		}
	}
	clear(s.talks)
	s.mu.Unlock()
	err := s.db.Update(func(tx *bbolt.Tx) error {
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
	if s.problem = err; err != nil {
		for k, r := range rows {
			if _, newer := s.pending[k]; !newer {
				s.pending[k] = r
			}
		}
		for id := range talks {
			s.talks[id] = true
		}
	}
	s.room.Broadcast()
	return err
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
