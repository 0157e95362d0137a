package engine

import (
	"errors"
	"sync"
)

// saving holds the newest records that are to be written. Several goroutines may write; what is put while one does is
// written by it or by the next, and never an older record over a newer one.
type saving struct {
	writing sync.Mutex
	mu      sync.Mutex
	records map[string][]byte
}

func (s *saving) put(id string, record []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string][]byte{}
	}
	s.records[id] = record
}

// write gives all that waits to keep.
func (s *saving) write(keep func(id string, record []byte) error) error {
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
		if _, newer := s.records[id]; !newer { // the next write tries it again
			s.records[id] = r
		}
		s.mu.Unlock()
	}
	return errs
}
