// Package keep turns what the engine tells into rows of the history, for every
// program that keeps conversations.
package keep

import (
	"encoding/json"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
)

// Everyone is the talk with all; that with a peer has the text form of its ID.
const Everyone = "everyone"

// Words is what a message of our programs holds, on the wire.
type Words struct {
	Text     string `json:"text"`
	Everyone bool   `json:"everyone,omitempty"` // said to all
}

// Text finds the words in a message: those of our programs, a plain string, or else the JSON itself. They are clean.
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

// Message is the row of a message that came, and whether it belongs to the talk with all.
func Message(m engine.Message) (r history.Row, everyone bool) {
	text, everyone := Text(m.Body)
	return history.Row{Kind: history.Text, Text: text, At: m.At}, everyone
}

// maxPaths bounds how many paths of a transfer are kept.
const maxPaths = 20

// File is what is kept of a transfer.
func File(t engine.Transfer) *history.File {
	paths := t.Paths
	if t.Incoming {
		paths = t.Saved
	}
	return &history.File{
		ID: string(t.ID), Names: t.Names, Items: t.Items, Files: t.Files, Folders: t.Folders, Bytes: t.Bytes,
		State: int(t.State), Incoming: t.Incoming, Paths: paths[:min(len(paths), maxPaths)],
	}
}

// Transfer is the row of a transfer as it is now, at this time.
func Transfer(t engine.Transfer) history.Row {
	return history.Row{Kind: history.Transfer, Own: !t.Incoming, At: time.Now(), File: File(t)}
}
