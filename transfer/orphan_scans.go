package transfer

import (
	"sync"
	"time"
)

// orphanScans limits how often each receiving folder is scanned for abandoned staging folders. A peer whose transfers
// fail can leave thousands, and a scan at the start of each transfer would slow down all others.
var orphanScans = scanTimes{at: map[string]time.Time{}}

const (
	scanInterval = time.Hour
	// maxScanTimes limits the folders that are remembered; beyond that, all are forgotten.
	maxScanTimes = 1000
)

type scanTimes struct {
	mu sync.Mutex
	at map[string]time.Time // by folder
}

// due reports whether a folder was not scanned for scanInterval, and records a scan now if so.
func (s *scanTimes) due(dir string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, scanned := s.at[dir]
	if since := time.Since(last); scanned && since >= 0 && since < scanInterval {
		return false
	}
	if len(s.at) >= maxScanTimes {
		clear(s.at)
	}
	s.at[dir] = time.Now()
	return true
}
