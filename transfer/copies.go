package transfer

import (
	"bytes"
	"encoding/binary"
	"io/fs"
	"slices"
	"time"

	"github.com/zeebo/xxh3"
)

// Copies stores which files on this device are copies of a sender's files. If neither the original nor the copy has
// changed since, the next transfer of the same file need not read either of them. Its methods may be called
// concurrently.
type Copies interface {
	// Load returns the stored records, in any order.
	Load() []CopyKey
	// Add stores records. Records may be lost: then the files are compared by content.
	Add([]CopyKey)
}

// CopyKey is the record of one copy: a hash of the sizes and modification times of both files, their inodes, and the
// times of the last change of these, which programs cannot set on the file systems that are used here. So a record that
// is damaged, or whose files have changed, matches nothing.
type CopyKey [16]byte

const (
	// maxCopies is how many records a call adds at most.
	maxCopies = 1 << 19
	// steadyAfter is the age of a file's last change at which a stamp identifies its content. No later change can have
	// the same time; a program that writes through a memory mapping changes it again only after the system has written
	// the page to the disk, which takes up to 35 s.
	steadyAfter = 2 * time.Minute
)

// keyOf returns the record of a file with the stamp here that is a copy of a sender's entry.
func keyOf(sender string, e entry, here uint64) CopyKey {
	b := make([]byte, 0, 128)
	b = binary.BigEndian.AppendUint64(b, e.stamp)
	b = binary.BigEndian.AppendUint64(b, uint64(e.size))
	b = binary.BigEndian.AppendUint64(b, uint64(e.modTime.Unix()))
	b = binary.BigEndian.AppendUint64(b, uint64(e.modTime.Nanosecond()))
	b = binary.BigEndian.AppendUint64(b, here)
	b = append(b, sender...)
	return xxh3.Hash128(b).Bytes() // a sender that provokes a collision only keeps its own file from being compared
}

func compareKeys(a, b CopyKey) int { return bytes.Compare(a[:], b[:]) }

// has reports whether a file here is known to be a copy of an entry.
func (r *receiver) has(e entry, here fs.FileInfo) bool {
	if r.opts.Copies == nil || r.opts.Reread || !e.steady || !r.stage.tracks(here) {
		return false
	}
	if r.copies == nil {
		r.copies = append(r.opts.Copies.Load(), CopyKey{}) // one that matches nothing, so that it is not nil any more
		slices.SortFunc(r.copies, compareKeys)
	}
	_, found := slices.BinarySearchFunc(r.copies, keyOf(r.opts.Sender, e, stampOf(here)), compareKeys)
	return found
}

// mayRecord reports whether copies of an entry are recorded.
func (r *receiver) mayRecord(e entry) bool {
	return r.opts.Copies != nil && e.kind == kindFile && e.steady
}

// record records that a file that was just written is a copy of an entry; here is its state. A state with another size
// or time is not of our making: another program has changed the file already.
func (r *receiver) record(e entry, here fs.FileInfo) {
	if r.stage.tracks(here) && here.Size() == e.size && here.ModTime().Equal(e.modTime) {
		r.keepCopy(keyOf(r.opts.Sender, e, stampOf(here)))
	}
}

// keepCopy keeps a record until the end of the call: before that, the copies are not durable.
func (r *receiver) keepCopy(k CopyKey) {
	if len(r.newCopies) >= maxCopies { // guard: copies-kept
		return
	}
	r.newCopies = append(r.newCopies, k)
}

// recordPublished is record for a file that has been given its final name, which may have changed its state.
func (r *receiver) recordPublished(e entry, final string) {
	if !r.mayRecord(e) {
		return
	}
	if here, err := r.stage.existingNear(&r.stage.inboxNear, final); err == nil {
		r.record(e, here)
	}
}

// findTracking finds out whether the disk of the inbox keeps the times of the last change of files.
func (s *stage) findTracking() {
	if info, err := s.volume.Stat(); err == nil && keepsChangeTimes(s.volume) {
		s.device, s.tracking = deviceOf(info)
	}
}

// tracks reports whether the time of the last change of a file in the inbox can be trusted: it is on the same disk as
// the inbox, and that disk keeps such times.
func (s *stage) tracks(here fs.FileInfo) bool {
	device, known := deviceOf(here)
	return s.tracking && known && device == s.device
}

// isSteady reports whether the stamp of a file identifies its content: its last change is so long ago that no later one
// can have the same time.
func isSteady(info fs.FileInfo) bool {
	at, known := changed(info)
	return known && time.Since(at) >= steadyAfter
}
