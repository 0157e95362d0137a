package peers

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"time"

	"multipeer/engine/discovery"
	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"
)

// PeerID identifies a peer.
type PeerID = identity.PeerID

// State is the state of the connection to a peer.
type State int

// The states.
const (
	Found        State = iota // seen on the network, or connected, without a session
	Connecting                // our invitation waits for its answer
	Connected                 // a session is active
	Reconnecting              // a session is active but its connection has broken
)

func (s State) String() string {
	switch s {
	case Found:
		return "found"
	case Connecting:
		return "connecting"
	case Connected:
		return "connected"
	case Reconnecting:
		return "reconnecting"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Audience is a set of peers that a policy applies to.
type Audience int

// The audiences. The zero value includes no one.
const (
	Nobody   Audience = iota
	Verified          // peers whose key the user has verified
	Known             // verified peers and peers that were accepted before
	Everyone
)

// Visibility controls who can see an engine and whose connections it answers.
type Visibility int

// The visibilities.
const (
	VisibleToAll Visibility = iota
	VisibleToKnown
	VisibleToNobody
)

func (v Visibility) String() string {
	switch v {
	case VisibleToAll:
		return "everyone"
	case VisibleToKnown:
		return "known"
	case VisibleToNobody:
		return "nobody"
	}
	return fmt.Sprintf("Visibility(%d)", int(v))
}

// Peer describes the current state of another device.
type Peer struct {
	ID        PeerID
	Name      string // safe to display
	State     State
	Trust     identity.Trust
	Confirmed bool             // its key was proven on a live connection
	Addrs     []netip.AddrPort // where it can be dialled, best first
	Addr      netip.AddrPort   // the remote address of the live connection; zero without one
	RTT       time.Duration    // round-trip time of the live connection
	How       string           // how it was found
	Heard     bool             // multicast discovery sees it now
	Context   json.RawMessage  // what its program sent with the invitation or its answer; untrusted
	Info      map[string]string
	LooksLike PeerID // another, more trusted peer whose name looks the same; zero if there is none
	Auto      identity.Auto
	Err       error // why it cannot be reached at the moment
}

// Self describes this engine.
type Self struct {
	ID          PeerID
	Name        string
	Service     string
	Port        int // the UDP port; 0 before the run has opened it
	Running     bool
	Advertising bool
	Browsing    bool
	Info        map[string]string
	Visible     Visibility
	VisibleTo   time.Time // when Visible returns to the previous value; zero means never
}

// open reports whether everyone on the network may learn this engine's address.
func (s Self) open() bool { return s.Advertising && s.Visible == VisibleToAll }

func (s Self) equal(o Self) bool {
	same := maps.Equal(s.Info, o.Info)
	s.Info, o.Info = nil, nil
	return same && reflect.DeepEqual(s, o)
}

// announcement returns what discovery announces about this engine.
func (s Self) announcement() discovery.Announcement {
	return discovery.Announcement{
		ID: s.ID, Name: s.Name, Service: s.Service, Port: s.Port,
		Advertise: s.Advertising && s.Visible != VisibleToNobody, Browse: s.Browsing, Info: s.Info,
		Known: s.Visible == VisibleToKnown,
	}
}

// wireInfo returns what connected peers learn about this engine.
func (s Self) wireInfo() wire.Info { return wire.Info{Name: s.Name, Info: s.Info, Open: s.open()} }

// Message is a received message.
type Message struct {
	From       PeerID
	Name       string
	Addr       netip.AddrPort // where the sender is
	Topic      string
	Body       json.RawMessage // nil for bytes
	Data       []byte          // nil for JSON
	At         time.Time
	Unreliable bool // it was sent as a datagram

	Ask, Reply uint64 // see wire.Text
	Failed     string
}

// Size is the size of what the program sent, in bytes.
func (m Message) Size() int { return len(m.Body) + len(m.Data) + len(m.Failed) }
