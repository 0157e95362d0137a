package ui

import (
	"time"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// warning returns a warning if a peer looks like another, better-known one, otherwise "".
func (u *UI) warning(p engine.Peer) string {
	if p.LooksLike.IsZero() {
		return ""
	}
	return tr("Not the {{.Name}} you know", "Name", widgets.Shortened(u.nameOf(u.talk(p.LooksLike)), shownName))
}

// compared returns a peer with LooksLike also set if its name looks like one that the user has given to another device:
// the engine does not know these names.
func (u *UI) compared(p engine.Peer) engine.Peer {
	if !p.LooksLike.IsZero() || p.Trust == engine.TrustVerified || u.o.Settings.Names[p.ID.String()] != "" {
		return p
	}
	for key, name := range u.o.Settings.Names {
		id, err := engine.ParsePeerID(key)
		if err == nil && id != p.ID && engine.SameLook(name, p.Name) {
			p.LooksLike = id
		}
	}
	return p
}

// likeness is a cached result of Engine.LooksLike for the name of a conversation.
type likeness struct {
	name string
	at   time.Time
	id   engine.PeerID
}

// likenessFor is how long a result is cached. The list needs one for each conversation whose peer is not nearby.
const likenessFor = 2 * time.Second

// absent returns the peer of a conversation that is not nearby.
func (u *UI) absent(t *talk) engine.Peer {
	if l := &t.likeness; l.name != t.name || time.Since(l.at) > likenessFor {
		*l = likeness{t.name, time.Now(), u.e.LooksLike(t.id, t.name)}
	}
	return u.compared(engine.Peer{ID: t.id, Name: t.name, LooksLike: t.likeness.id, Trust: u.e.Trust(t.id)})
}
