package history

import "maps"

// Rows from strangers are held in memory until the user interacts with them, and the total size of all talks is
// limited.

// Hold adds a row as Append does, but does not write it to disk if the talk is not stored yet: only the newest rows of
// such a talk stay in memory, until Append, Keep or a draft stores the talk with all of them. If too many talks are
// held, the oldest ones are dropped.
func (s *Store) Hold(talk string, r Row) uint64 {
	s.mu.Lock()
	if b := s.books[talk]; b != nil && !b.held && (b.first < b.next || b.talk.Draft != "") {
		s.mu.Unlock()
		return s.Append(talk, r)
	}
	defer s.mu.Unlock()
	b := s.bookLocked(talk)
	b.held = true
	seq := b.next
	b.next++
	b.talk.Last = r.At
	s.held[key{talk, seq}] = r
	if b.next-b.first > uint64(s.limits.heldRows) { // guard: held-rows
		delete(s.held, key{talk, b.first})
		b.first++
	}
	held := 0
	for _, b := range s.books {
		if b.held {
			held++
		}
	}
	if held > s.limits.heldTalks { // guard: held-talks
		s.dropLocked(s.oldestLocked(talk, func(b *book) bool { return b.held }))
	}
	return seq
}

// Keep writes a held talk to disk from now on, with its rows so far.
func (s *Store) Keep(talk string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b := s.books[talk]; b != nil && b.held {
		b.talk.OneSided = true
		s.keepLocked(talk, b)
		s.enforceLocked(talk)
		s.changed()
	}
}

// Held reports whether a talk is not stored: it is held in memory, or does not exist.
func (s *Store) Held(talk string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[talk]
	return b == nil || b.held
}

// keepLocked makes the held rows of a talk pending.
func (s *Store) keepLocked(talk string, b *book) {
	if !b.held {
		return
	}
	b.held, b.shares = false, nil
	for seq := b.first; seq < b.next; seq++ {
		k := key{talk, seq}
		r := s.held[k]
		delete(s.held, k)
		s.pending[k] = r
		b.talk.Bytes += weight(r)
		b.talk.OneSided = b.talk.OneSided && !r.Own
	}
	s.talks[talk] = true
}

// enforceLocked enforces the limits for all talks together. It spares the talk but, which has just received a row.
func (s *Store) enforceLocked(but string) {
	for {
		var one int
		var oneBytes, all int64
		largest := ""
		for name, b := range s.books {
			if b.held {
				continue
			}
			all += b.talk.Bytes
			if b.talk.OneSided {
				one++
				oneBytes += b.talk.Bytes
			}
			if b.next > b.first && (largest == "" || b.talk.Bytes > s.books[largest].talk.Bytes) {
				largest = name
			}
		}
		if one > s.limits.oneSided || oneBytes > s.limits.oneSidedBytes || all > s.limits.bytes { // guard: one-sided-talks
			oldest := s.oldestLocked(but, func(b *book) bool { return !b.held && b.talk.OneSided })
			if oldest != "" {
				s.dropLocked(oldest)
				continue
			}
		}
		if all > s.limits.bytes && largest != "" { // guard: history-in-all
			s.cutLocked(largest, s.books[largest], byBytes)
			continue
		}
		return
	}
}

// oldestLocked returns the talk, other than but, whose newest row is the oldest of those that count; empty if none.
func (s *Store) oldestLocked(but string, counts func(*book) bool) string {
	oldest := ""
	for name, b := range s.books {
		if name != but && counts(b) && (oldest == "" || b.talk.Last.Before(s.books[oldest].talk.Last)) {
			oldest = name
		}
	}
	return oldest
}

// dropLocked removes a talk with its rows; the next commit deletes it on disk.
func (s *Store) dropLocked(talk string) {
	b := s.books[talk]
	if b == nil {
		return
	}
	s.floor = max(s.floor, b.next)
	delete(s.books, talk)
	delete(s.talks, talk)
	if b.held {
		for seq := b.first; seq < b.next; seq++ {
			delete(s.held, key{talk, seq})
		}
		return
	}
	maps.DeleteFunc(s.pending, func(k key, _ Row) bool { return k.talk == talk })
	s.dropped[talk] = true
	s.changed()
}
