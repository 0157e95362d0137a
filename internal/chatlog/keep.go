// Package chatlog converts the engine's events into rows of the history, for every program that stores conversations.
package chatlog

import (
	"encoding/json"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
)

// Everyone is the key of the talk with everyone. The key of a talk with a peer is the string form of its ID.
const Everyone = "everyone"

// Words is the body of a message from our programs, on the wire.
type Words struct {
	Text     string `json:"text"`
	Everyone bool   `json:"everyone,omitempty"` // sent to everyone
}

// Text returns the text of a message: the text from our programs, a plain string, or else the JSON itself. It is
// cleaned.
func Text(body json.RawMessage) (text string, everyone bool) {
	var w struct {
		Text     *string `json:"text"`
		Everyone bool    `json:"everyone"`
	}
	var plain string
	switch {
	case json.Unmarshal(body, &w) == nil && w.Text != nil && *w.Text != "":
		text, everyone = *w.Text, w.Everyone
	case json.Unmarshal(body, &plain) == nil:
		text = plain
	default:
		text = string(body)
	}
	return engine.CleanText(text), everyone
}

// Message returns the row of a received message, and whether it belongs to the talk with everyone.
func Message(m engine.Message) (r history.Row, everyone bool) {
	text, everyone := Text(m.Body)
	r = history.Row{Kind: history.Text, Text: text, At: m.At}
	if everyone {
		r.From = m.From.String()
	}
	return r, everyone
}

// CutName shortens a name to at most most characters, which must be at least 2. An ellipsis replaces the middle,
// because the end of a file's name shows its type.
func CutName(name string, most int) string {
	if r := []rune(name); len(r) > most { // guard: names-kept
		head := most / 2
		return string(r[:head]) + "…" + string(r[len(r)-(most-1-head):])
	}
	return name
}

const (
	// maxNames is how many names of an offer are stored, and maxNameLength how many characters of each.
	maxNames      = 3
	maxNameLength = 100
)

// Names returns the names of an offer that are stored and shown: the first ones, shortened.
func Names(names []string) []string { return FirstNames(names, maxNames) }

// FirstNames returns the first names of an offer, at most most, shortened as Names does.
func FirstNames(names []string, most int) []string {
	out := make([]string, 0, most)
	for _, n := range names[:min(len(names), most)] {
		out = append(out, CutName(n, maxNameLength))
	}
	return out
}

// Accepted reports whether a transfer is more than an unanswered offer: this device sends it, or the user here has
// accepted it. Transfers of strangers are recorded only from then on.
func Accepted(t engine.Transfer) bool {
	switch t.State {
	case engine.Offered, engine.Declined:
		return !t.Incoming
	}
	return !t.Incoming || !t.Started.IsZero()
}

// maxPaths limits how many paths of a transfer are stored.
const maxPaths = 20

// File returns the part of a transfer that is stored.
func File(t engine.Transfer) *history.File {
	paths, names := t.Paths, t.Names
	if t.Incoming {
		paths, names = t.Saved, Names(t.Names)
	}
	return &history.File{
		ID: string(t.ID), Names: names, Items: t.Items, Files: t.Files, Folders: t.Folders, Bytes: t.Bytes,
		State: int(t.State), Incoming: t.Incoming, Paths: paths[:min(len(paths), maxPaths)],
	}
}

// Transfer returns the row of a transfer in its current state, with the current time.
func Transfer(t engine.Transfer) history.Row {
	return history.Row{Kind: history.Transfer, Own: !t.Incoming, At: time.Now(), File: File(t)}
}
