package transfer

import (
	"fmt"
	"time"
)

// Messages from the receiver, up to the receipt.

// answers reads messages from the receiver until the receipt.
func (s *sender) answers() (Result, error) {
	var saved Result
	for {
		k, err := s.b.recv()
		if err != nil {
			return saved, fmt.Errorf("waiting for the receipt: %w", err)
		}
		in := records{k.body()}
		for {
			kind, body, ok, err := in.next()
			if err == nil && !ok {
				break
			}
			var end bool
			if err == nil {
				end, err = s.answer(kind, body, &saved)
			}
			if err != nil {
				return saved, err
			}
			if end {
				s.b.done(k)
				return s.settle(saved)
			}
		}
		s.b.done(k)
	}
}

// answer processes one record; it returns true for the receipt.
func (s *sender) answer(kind byte, body []byte, saved *Result) (end bool, err error) {
	switch kind {
	case recGo:
		if len(body) != 1 {
			return false, badRecord(kind)
		}
		select {
		case s.begun <- body[0]:
		default:
			return false, badRecord(kind)
		}
	case recWant:
		index, w, err := decodeWant(body)
		if err != nil {
			return false, err
		}
		return false, s.hears(index, w)
	case recProgress:
		d := decoder{b: body}
		pr := Progress{Bytes: d.count(), Files: d.count(), Phase: Phase(d.count())}
		if !d.end() || pr.Phase > Full {
			return false, badRecord(kind)
		}
		if !s.progress.mayCount(time.Now()) { // guard: progress-rate
			return false, fmt.Errorf("%w: more than %d progress records a second", ErrProtocol, maxProgress)
		}
		if pr.Phase == Finishing && !s.mayFinish() { // guard: finishing-early
			return false, fmt.Errorf("%w: the receiver finished before everything was sent", ErrProtocol)
		}
		pr.Blocks, pr.Taken = s.b.acknowledged()
		if s.opts.OnProgress != nil {
			s.opts.OnProgress(pr)
		}
	case recNote:
		n, err := decodeNote(body)
		if err != nil {
			return false, err
		}
		n.Remote = !n.Remote
		saved.note(n)
	case recRefused:
		return false, s.isRefused(body, saved)
	case recAbort:
		return false, abortError(body)
	case recReceipt:
		d := decoder{b: body}
		unchanged, leftOut := d.count(), d.count()
		if d.bad {
			return false, badRecord(kind)
		}
		saved.Totals, err = decodeTotals(d.b)
		saved.Unchanged = unchanged
		s.receiptLeftOut = leftOut
		return true, err
	default:
		return false, badRecord(kind)
	}
	return false, nil
}

// mayFinish reports whether the receiver can have everything, from this attempt or an earlier one.
func (s *sender) mayFinish() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.ended || s.opts.Sent
}

// hears processes the receiver's request for a file. There is one per file; a request for digests may precede it.
func (s *sender) hears(index int64, w want) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, twice := s.wants[index]
	if twice || !s.asking || index < s.turn || index >= s.told { // guard: wants
		return badRecord(recWant)
	}
	if _, asked := s.digesting[index]; asked { // guard: digests-first
		return badRecord(recWant)
	}
	if w.digests {
		it, known := s.ahead[index]
		if !known { // already requested
			return badRecord(recWant)
		}
		delete(s.ahead, index)
		s.digesting[index] = struct{}{}
		it.size = min(it.size, w.piece*maxPieces)
		s.toDigest <- toDigest{it, w.piece} // the channel has room for every file that is still ahead
		return nil
	}
	s.wants[index] = w
	select {
	case s.came <- struct{}{}:
	default:
	}
	return nil
}

// isRefused processes the receiver's report that it cannot store an entry, or an entry and everything below it.
func (s *sender) isRefused(body []byte, saved *Result) error {
	f, err := decodeRefused(body)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dropped[f.index] { // both sides dropped it at the same time
		return nil
	}
	if _, twice := s.refusals[f.index]; twice || f.index >= s.files { // guard: refused-once
		return badRecord(recRefused)
	}
	if f.index >= 0 {
		s.refusals[f.index] = struct{}{}
	}
	s.refused = s.refused.plus(f.totals)
	saved.note(f.note)
	saved.LeftOut += max(f.totals.Files+f.totals.Folders+f.totals.Links, 1) - 1
	return nil
}

func (s *sender) isRefusedFile(index int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, refused := s.refusals[index]
	return refused
}

// settle compares the receipt with what was sent, so that only a match is reported as delivered. A receipt that arrives
// before anything was sent repeats that of an earlier Send, which was lost; all its notes come from the receiver.
func (s *sender) settle(saved Result) (Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opts.Sent && !s.ended && s.files == 0 && s.sent.Totals == (Totals{}) {
		s.repeated = true
		saved.LeftOut = max(saved.LeftOut, s.receiptLeftOut) // one note may cover a folder and everything below it
		return saved, nil
	}
	if !s.ended { // guard: receipt-early
		return saved, fmt.Errorf("%w: a receipt before everything was sent", ErrProtocol)
	}
	if saved.plus(s.refused) != s.sent.Totals {
		return saved, fmt.Errorf("%w: receipt for %+v, sent %+v, refused %+v", ErrProtocol, saved.Totals, s.sent.Totals, s.refused)
	}
	saved.Notes = append(saved.Notes, s.sent.Notes...)
	saved.Notes = saved.Notes[:min(len(saved.Notes), maxNotes)]
	saved.Renamed += s.sent.Renamed
	saved.LeftOut += s.sent.LeftOut
	saved.Unkept += s.sent.Unkept
	return saved, nil
}

// maxProgress is how many progress records a receiver may send in a second. An honest one sends ten; after a pause,
// more may arrive at once.
const maxProgress = 1000

// perSecond counts events within a second.
type perSecond struct {
	second time.Time
	count  int
}

// mayCount counts one more event, and returns false if there were too many in this second.
func (p *perSecond) mayCount(now time.Time) bool {
	if now.Sub(p.second) >= time.Second {
		p.second, p.count = now, 0
	}
	p.count++
	return p.count <= maxProgress
}
