package transfers

import (
	"errors"
	"sync"
)

// storeWriter holds the newest records to write. Several goroutines may write; a record put during a write is written
// by that write or the next, and an older record never overwrites a newer one.
type storeWriter struct {
	writing sync.Mutex
	mu      sync.Mutex
	records map[string][]byte
	claimed bool // a goroutine writes in the background
}

func (s *storeWriter) put(id string, record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string][]byte{}
	}
	s.records[id] = record
}

// claim makes the caller the only one that writes in the background, or returns false if another goroutine does. waits
// or release must end the claim.
func (s *storeWriter) claim() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	free := !s.claimed
	s.claimed = true
	return free
}

func (s *storeWriter) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = false
}

// waits reports whether records wait. If none do, it ends the claim: a record that is put later needs a new one.
func (s *storeWriter) waits() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed = len(s.records) > 0
	return s.claimed
}

// write passes all waiting records to keep.
func (s *storeWriter) write(keep func(id string, record []byte) error) error {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	records := s.records
	s.records = nil
	s.mu.Unlock()
	var errs error
	for id, r := range records {
		err := keep(id, r)
		if err == nil {
			continue
		}
		errs = errors.Join(errs, err)
		s.mu.Lock()
		if s.records == nil {
			s.records = map[string][]byte{}
		}
		if _, newer := s.records[id]; !newer { // the next write retries it
			s.records[id] = r
		}
		s.mu.Unlock()
	}
	return errs
}
