package rpc

import (
	"encoding/json"
	"slices"
	"time"

	"multipeer/engine"
)

// The JSON forms of the engine's values.

// audience is an engine.Audience as a string.
type audience engine.Audience

var audiences = []string{"nobody", "verified", "known", "everyone"}

func (a *audience) UnmarshalText(text []byte) error {
	i := slices.Index(audiences, string(text))
	if i < 0 {
		return badParams("%q: must be nobody, verified, known or everyone", text)
	}
	*a = audience(engine.Nobody) + audience(i)
	return nil
}

// visibility is an engine.Visibility as a string.
type visibility engine.Visibility

var visibilities = map[string]engine.Visibility{"everyone": engine.VisibleToAll, "known": engine.VisibleToKnown, "nobody": engine.VisibleToNobody}

func (v *visibility) UnmarshalText(text []byte) error {
	value, known := visibilities[string(text)]
	if !known {
		return badParams("%q: must be everyone, known or nobody", text)
	}
	*v = visibility(value)
	return nil
}

func visibilityOf(v engine.Visibility) string {
	for text, value := range visibilities {
		if value == v {
			return text
		}
	}
	return ""
}

// trust is an engine.Trust as a string.
type trust engine.Trust

const trustUnknown = "unknown"

func trustOf(t engine.Trust) string {
	if t == engine.TrustUnknown {
		return trustUnknown
	}
	return string(t)
}

func (t *trust) UnmarshalText(text []byte) error {
	*t = trust(text)
	if string(text) == trustUnknown {
		*t = trust(engine.TrustUnknown)
	}
	return nil
}

// milliseconds is a duration as a number.
func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// moment is a time as a string; empty for the zero time.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// texts returns a list that is not null.
func texts[T interface{ String() string }](list []T) []string {
	out := []string{}
	for _, v := range list {
		out = append(out, v.String())
	}
	return out
}

type selfJSON struct {
	ID          engine.PeerID     `json:"id"`
	Name        string            `json:"name"`
	Service     string            `json:"service"`
	Port        int               `json:"port"`
	Advertising bool              `json:"advertising"`
	Browsing    bool              `json:"browsing"`
	Visible     string            `json:"visible"`
	Info        map[string]string `json:"info,omitempty"`
}

func selfOf(s engine.Self) selfJSON {
	return selfJSON{s.ID, s.Name, s.Service, s.Port, s.Advertising, s.Browsing, visibilityOf(s.Visible), s.Info}
}

type peerJSON struct {
	ID        engine.PeerID     `json:"id"`
	Name      string            `json:"name"`
	State     string            `json:"state"` // found, connecting, connected or reconnecting
	Trust     string            `json:"trust"`
	Confirmed bool              `json:"confirmed"`
	Addresses []string          `json:"addresses"`
	RTT       float64           `json:"rtt_ms,omitempty"`
	How       string            `json:"how,omitempty"`
	Context   json.RawMessage   `json:"context,omitempty"`
	Info      map[string]string `json:"info,omitempty"`
	LooksLike string            `json:"looks_like,omitempty"`
	Via       string            `json:"via,omitempty"`
	Plain     bool              `json:"plain,omitempty"`
	Error     *errorJSON        `json:"error,omitempty"`
}

func peerOf(p engine.Peer) peerJSON {
	out := peerJSON{
		ID: p.ID, Name: p.Name, State: p.State.String(), Trust: trustOf(p.Trust), Confirmed: p.Confirmed, Addresses: texts(p.Addrs),
		RTT: milliseconds(p.RTT), How: p.How, Via: p.Via, Plain: p.Plain, Context: p.Context, Info: p.Info, Error: errorOf(p.Err),
	}
	if !p.LooksLike.IsZero() {
		out.LooksLike = p.LooksLike.String()
	}
	return out
}

type peerEvent struct {
	Peer  peerJSON   `json:"peer"`
	Error *errorJSON `json:"error,omitempty"`
}

type peersResult struct {
	Peers []peerJSON `json:"peers"`
}

func peerList(peers []engine.Peer) peersResult {
	r := peersResult{[]peerJSON{}}
	for _, p := range peers {
		r.Peers = append(r.Peers, peerOf(p))
	}
	return r
}

// content is the content of a message: a JSON value in body, or bytes in data.
type content struct {
	Body json.RawMessage `json:"body,omitempty"`
	Data *[]byte         `json:"data,omitempty"`
}

func contentOf(m engine.Message) content {
	if m.Data != nil {
		return content{Data: &m.Data}
	}
	return content{Body: m.Body}
}

// value returns the value to pass to the engine.
func (c content) value() (any, error) {
	switch {
	case c.Body == nil == (c.Data == nil):
		return nil, badParams("exactly one of body and data must be given")
	case c.Data != nil:
		return []byte(*c.Data), nil
	}
	return c.Body, nil
}

type messageJSON struct {
	From       engine.PeerID `json:"from"`
	Name       string        `json:"name"`
	Topic      string        `json:"topic,omitempty"`
	Unreliable bool          `json:"unreliable,omitempty"`
	content
}

func messageOf(m engine.Message) messageJSON {
	return messageJSON{m.From, m.Name, m.Topic, m.Unreliable, contentOf(m)}
}

type noteJSON struct {
	Path    string     `json:"path"`
	Saved   string     `json:"saved,omitempty"`
	LeftOut bool       `json:"left_out"`
	Error   *errorJSON `json:"error,omitempty"`
}

type transferJSON struct {
	ID        engine.TransferID `json:"id"`
	Peer      engine.PeerID     `json:"peer"`
	PeerName  string            `json:"peer_name"`
	Incoming  bool              `json:"incoming"`
	State     string            `json:"state"`
	ByPeer    bool              `json:"by_peer,omitempty"`
	Via       string            `json:"via,omitempty"`
	Final     bool              `json:"final"`
	Names     []string          `json:"names"`
	Items     int64             `json:"items"`
	Files     int64             `json:"files"`
	Folders   int64             `json:"folders"`
	Bytes     int64             `json:"bytes"`
	Counting  bool              `json:"counting,omitempty"`
	Keep      bool              `json:"keep,omitempty"`
	Note      string            `json:"note,omitempty"`
	Priority  int               `json:"priority,omitempty"`
	Done      int64             `json:"done"`
	Rate      float64           `json:"bytes_per_s,omitempty"`
	Left      float64           `json:"left_ms,omitempty"`
	Dir       string            `json:"dir,omitempty"`
	Saved     []string          `json:"saved,omitempty"` // the first shownSaved
	SavedAll  int               `json:"saved_count,omitempty"`
	Notes     []noteJSON        `json:"notes,omitempty"`
	Renamed   int64             `json:"renamed,omitempty"`
	LeftOut   int64             `json:"left_out,omitempty"`
	Unchanged int64             `json:"unchanged,omitempty"`
	Error     *errorJSON        `json:"error,omitempty"`
}

// shownSaved limits the paths of a transfer, because it is reported often, and its sender decides how many there are.
const shownSaved = 100

func transferOf(t engine.Transfer) transferJSON {
	out := transferJSON{
		ID: t.ID, Peer: t.Peer, PeerName: t.PeerName, Incoming: t.Incoming, State: t.State.String(), ByPeer: t.ByPeer, Via: t.Via, Final: t.State.Final(),
		Names: append([]string{}, t.Names...), Items: t.Items, Files: t.Files, Folders: t.Folders, Bytes: t.Bytes, Counting: t.Counting,
		Keep: t.Keep, Note: t.Note, Priority: t.Priority, Done: t.Done, Rate: t.Rate, Left: milliseconds(t.Left), Dir: t.Dir,
		Saved: t.Saved[:min(len(t.Saved), shownSaved)], SavedAll: len(t.Saved),
		Renamed: t.Renamed, LeftOut: t.LeftOut, Unchanged: t.Unchanged, Error: errorOf(t.Err),
	}
	for _, n := range t.Notes {
		out.Notes = append(out.Notes, noteJSON{n.Path, n.Saved, n.LeftOut(), errorOf(n.Err)})
	}
	return out
}

type transferEvent struct {
	Transfer transferJSON `json:"transfer"`
}

type pairingJSON struct {
	Peer    engine.PeerID `json:"peer"`
	Name    string        `json:"name"`
	Stage   string        `json:"stage"`
	Code    string        `json:"code,omitempty"`
	Choices []string      `json:"choices,omitempty"`
	Until   string        `json:"until,omitempty"`
	Error   *errorJSON    `json:"error,omitempty"`
}

func pairingOf(p engine.Pairing) pairingJSON {
	return pairingJSON{p.Peer, p.Name, p.Stage.String(), p.Code, p.Choices, moment(p.Until), errorOf(p.Err)}
}

type conflictJSON struct {
	ID        engine.PeerID `json:"id"`
	Name      string        `json:"name"`
	Addresses []string      `json:"addresses"`
}

func conflictOf(c engine.Conflict) conflictJSON { return conflictJSON{c.ID, c.Name, texts(c.Addrs)} }

type problemEvent struct {
	Error *errorJSON `json:"error"` // null when the problem is resolved
}
