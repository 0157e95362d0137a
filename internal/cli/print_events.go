package cli

import (
	"encoding/json"
	"fmt"
	"strings"

	"multipeer/engine"
	"multipeer/internal/chatlog"
)

// printMessage prints a message with its sender: a name alone proves nothing.
func printMessage(out *printer, m engine.Message, from engine.Peer) {
	out.object(struct {
		Type string          `json:"type"`
		From string          `json:"from"`
		Name string          `json:"name"`
		Body json.RawMessage `json:"body"`
	}{"message", m.From.String(), m.Name, m.Body})
	text, _ := chatlog.Text(m.Body)
	if from.Trust != engine.TrustVerified { // guard: message-rows
		text = firstRows(text)
	}
	out.line("%s: %s", speaker(m, from), passage(text))
}

// maxRows is how many lines are printed of a message of a peer that is not verified.
const maxRows = 200

// firstRows returns the first lines of a text, and how many more there are.
func firstRows(text string) string {
	lines := strings.Split(text, "\n")
	if len(lines) <= maxRows {
		return text
	}
	return strings.Join(lines[:maxRows], "\n") + fmt.Sprintf("\n(%d more lines; --json prints all)", len(lines)-maxRows)
}

// senderOf describes the sender of a message under the name that it had at that time, which may have changed since.
func senderOf(e *engine.Engine, m engine.Message) engine.Peer {
	return engine.Peer{ID: m.From, Name: m.Name, Trust: e.Trust(m.From), LooksLike: e.LooksLike(m.From, m.Name)}
}

// speaker names the sender of a message: with the start of its ID unless it is verified.
func speaker(m engine.Message, from engine.Peer) string {
	switch {
	case !from.LooksLike.IsZero():
		return fmt.Sprintf("%s (%s, warning: not the device you know by that name)", quoted(m.Name), m.From.Short())
	case from.Trust == engine.TrustVerified:
		return quoted(m.Name)
	}
	return fmt.Sprintf("%s (%s)", quoted(m.Name), m.From.Short())
}

// printConflict reports that two devices use the same identity, and what to do.
func printConflict(out *printer, e *engine.Engine, c engine.Conflict) {
	var at []string
	for _, a := range c.Addrs {
		at = append(at, a.String())
	}
	out.object(struct {
		Type      string   `json:"type"`
		ID        string   `json:"id"`
		Name      string   `json:"name"`
		Addresses []string `json:"addresses"`
	}{"conflict", c.ID.String(), c.Name, at})
	out.note("%s", conflictText(e.Self().ID, c))
}

func conflictText(self engine.PeerID, c engine.Conflict) string {
	var at []string
	for _, a := range c.Addrs {
		at = append(at, a.String())
	}
	if c.ID == self {
		return fmt.Sprintf("another device, at %s, uses this device's identity: its profile was copied. Data sent to this identity reaches only one of them; give one of them an empty profile (--profile)", strings.Join(at, " and "))
	}
	return fmt.Sprintf("two devices use the identity of %s (%s), at %s: data sent to this identity reaches only one of them. One of them needs an empty profile", quoted(c.Name), c.ID.Short(), strings.Join(at, " and "))
}

func printProblem(out *printer, err error) {
	if err != nil {
		out.note("finding peers: %v", err)
	}
}
