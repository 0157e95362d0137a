package history

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"multipeer/internal/rawpath"
)

// Kind is the kind of a row.
type Kind uint8

// The kinds.
const (
	Text     Kind = iota + 1 // a message
	Transfer                 // an offer or a transfer
	Notice                   // a peer came, left, or was verified
)

// State is the state of an own message.
type State uint8

// The states. Queued and Sending are temporary; Delivered and Failed are final.
const (
	None      State = iota // received from the other side
	Queued                 // waits until the peer is online
	Sending                // in transit
	Delivered              // the other program has received it
	Failed                 // Note is the reason
)

// Row is one entry of a conversation.
type Row struct {
	At    time.Time `json:"at"`
	Kind  Kind      `json:"kind"`
	Own   bool      `json:"own,omitempty"`
	Who   string    `json:"who,omitempty"`  // the sender's displayed name, in talks with several peers
	From  string    `json:"from,omitempty"` // the ID of that sender
	Text  string    `json:"text,omitempty"`
	State State     `json:"state,omitempty"`
	Note  string    `json:"note,omitempty"` // which peers received it, or why it failed
	// Unsure marks a Failed message that may have arrived after all.
	Unsure bool  `json:"unsure,omitempty"`
	File   *File `json:"file,omitempty"` // for a Transfer
}

// File is the last known state of a transfer.
type File struct {
	ID       string   `json:"id"`
	Names    []string `json:"names,omitempty"`
	Items    int64    `json:"items,omitempty"`
	Files    int64    `json:"files,omitempty"`
	Folders  int64    `json:"folders,omitempty"`
	Bytes    int64    `json:"bytes,omitempty"`
	State    int      `json:"state"`
	Incoming bool     `json:"incoming,omitempty"`
	Paths    []string `json:"paths,omitempty"` // the paths that were sent, or where the received files are stored
}

// MarshalJSON keeps paths that are not UTF-8.
func (f File) MarshalJSON() ([]byte, error) {
	type plain File
	f.Paths = rawpath.EncodeAll(f.Paths)
	return json.Marshal(plain(f))
}

// UnmarshalJSON reverses MarshalJSON.
func (f *File) UnmarshalJSON(b []byte) error {
	type plain File
	if err := json.Unmarshal(b, (*plain)(f)); err != nil {
		return err
	}
	f.Paths = rawpath.DecodeAll(f.Paths)
	return nil
}

// weight estimates the size of a row on disk, in bytes.
func weight(r Row) int64 {
	n := 100 + len(r.Text) + len(r.Note) + len(r.Who) + len(r.From)
	if r.File != nil {
		for _, s := range [][]string{r.File.Names, r.File.Paths} {
			for _, e := range s {
				n += len(e) + 3
			}
		}
	}
	return int64(n)
}

// Row returns one row.
func (s *Store) Row(talk string, seq uint64) (Row, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.books[talk]
	if b == nil || seq < b.first || seq >= b.next {
		return Row{}, false
	}
	return s.readLocked(talk, seq, seq+1)[0], true
}

func (r Row) has(lower string) bool {
	if r.Kind == Text && strings.Contains(strings.ToLower(r.Text), lower) {
		return true
	}
	return r.File != nil && slices.ContainsFunc(r.File.Names, func(n string) bool { return strings.Contains(strings.ToLower(n), lower) })
}
