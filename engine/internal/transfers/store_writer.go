package transfers

import (
	"errors"
	"sync"
)

// storeWriter holds the newest records to write. Several goroutines may write; a record put during a write is written by
// that write or the next, and an older record never overwrites a newer one.
type storeWriter struct {
	writing sync.Mutex
	mu      sync.Mutex
	records map[string][]byte
}

func (s *storeWriter) put(id string, record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string][]byte{}
	}
	s.records[id] = record
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
