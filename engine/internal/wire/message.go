package wire

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// Version1 is the protocol's version. A peer that does not support it is rejected with the code Version.
const Version1 = 1

// Message is one JSON object of the control stream. The set of types is closed.
type Message interface {
	kind() string
	check() error
}

// Hello opens a connection: it is the dialler's first frame on the control stream.
type Hello struct {
	Version int    `json:"v"`
	ID      string `json:"id"`   // the sender's peer ID; must be that of its key
	Name    string `json:"name"` // the sender's display name; any peer can send any name
	Boot    string `json:"boot"` // 8 to 32 characters, new at each start of the engine
	// Session means that the sender considers the two sides already connected, from an earlier connection of this run.
	// If both sides do, no invitation is needed.
	Session bool `json:"session,omitempty"`
	// Ends is how often the sender has notified its program that this session has ended; see Renew.
	Ends uint64 `json:"ends,omitempty"`
	// Info is the sender's discovery info; see ValidateInfo.
	Info map[string]string `json:"info,omitempty"`
	// UDP and TCP are the ports where the sender accepts lanes. If UDP is 0, lanes over QUIC use the port of this
	// connection; if TCP is 0, the sender accepts none over TCP.
	UDP int `json:"udp,omitempty"`
	TCP int `json:"tcp,omitempty"`
	// Service is the sender's service type. Open means that the sender wants to be found by everyone with that type on
	// its network: see Peers.
	Service string `json:"service,omitempty"`
	Open    bool   `json:"open,omitempty"`
	// Shared means that the sender has met another device with the sender's own key: a copied profile.
	Shared bool `json:"shared,omitempty"`
}

// HelloAck answers Hello. After it the connection is up.
type HelloAck Hello

// Invite requests a session.
type Invite struct {
	ID      string          `json:"id"`
	Context json.RawMessage `json:"context,omitempty"` // any JSON value of the inviting program, untrusted
}

// InviteAnswer accepts or declines an invitation. Context is the answering program's own.
type InviteAnswer struct {
	ID      string          `json:"id"`
	Accept  bool            `json:"accept"`
	Code    Code            `json:"code,omitempty"`
	Context json.RawMessage `json:"context,omitempty"`
}

// InviteCancel withdraws an invitation.
type InviteCancel struct {
	ID string `json:"id"`
}

// Renew sends Hello.Ends again, if it has changed during the greeting.
type Renew struct {
	N uint64 `json:"n"` // at least 1
}

// Leave ends the session and keeps the connection: the peers still see each other.
type Leave struct {
	Code Code `json:"code,omitempty"`
}

// Info announces a new display name, new discovery info, or a changed Hello.Open; it always carries all three.
type Info struct {
	Name string            `json:"name"`
	Info map[string]string `json:"info,omitempty"`
	Open bool              `json:"open,omitempty"`
}

// Peers announces to a connected peer which other peers the sender is connected to on the network that they share:
// those of its service that are Open, each with the remote address of that connection.
type Peers struct {
	Peers []PeerAt `json:"peers"` // 1 to MaxPeersAnnounced
}

// PeerAt is a peer and its address: a unicast address without a zone, and a port.
type PeerAt struct {
	ID   string         `json:"id"`
	Addr netip.AddrPort `json:"addr"`
}

// MaxPeersAnnounced is how many peers one Peers may hold.
const MaxPeersAnnounced = 32

// Ping is answered at once by a Pong with the same number.
type Ping struct {
	N uint64 `json:"n"`
}

// Pong answers Ping.
type Pong Ping

// Text carries one message of the program: any JSON value in Body, or bytes in Data. N counts up from 1 in each
// session, over all its connections; a repeated number is a message that was sent again because its answer was lost.
type Text struct {
	N uint64 `json:"n"`
	// Topic names the part of the program that the message is for; empty means none.
	Topic string `json:"topic,omitempty"`
	// Ask is a number that the sender chose for a request; Reply is the number of the request that this message
	// answers.
	Ask   uint64 `json:"ask,omitempty"`
	Reply uint64 `json:"reply,omitempty"`
	// Failed is the reason why a request failed, instead of Body and Data.
	Failed string          `json:"failed,omitempty"`
	Body   json.RawMessage `json:"body,omitempty"`
	Data   Data            `json:"data,omitempty"` // written even if it is empty, unless it is nil
}

// Data is bytes in base64 without line breaks (RFC 4648 section 3.3): encoding/json would skip any number of line
// breaks, and allocate memory for each.
type Data []byte

// UnmarshalJSON decodes the text of a data member. A null stays nil.
func (d *Data) UnmarshalJSON(b []byte) error {
	text, ok := plain(b)
	if !ok {
		if string(b) == "null" {
			return nil
		}
		return malformed("data is not a string")
	}
	if strings.ContainsAny(text, "\r\n") { // guard: data-breaks
		return malformed("a line break in base64")
	}
	decoded, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return malformed("data: %v", err)
	}
	*d = decoded
	return nil
}

// Size is the size of what the program sent, in bytes.
func (m Text) Size() int { return len(m.Body) + len(m.Data) + len(m.Failed) }

// MaxFailed limits Text.Failed, in bytes.
const MaxFailed = 1 << 10

// TextAck reports the outcome of message N: accepted by the program, or why not.
type TextAck struct {
	N    uint64 `json:"n"`
	Code Code   `json:"code,omitempty"` // Bye (absent) means accepted
}

// Offer proposes files. Sizes and counts are the values known so far; Counting means that the sender is still counting.
type Offer struct {
	ID       string   `json:"id"`
	Names    []string `json:"names"` // top-level names, at most MaxOfferNames of them
	Items    int64    `json:"items"` // total number of top-level names
	Files    int64    `json:"files"`
	Folders  int64    `json:"folders"`
	Bytes    int64    `json:"bytes"`
	Counting bool     `json:"counting,omitempty"`
	// OnDisk is how many bytes everything takes on a disk, if that is less than Bytes: files may have holes.
	OnDisk int64 `json:"on_disk,omitempty"`
	// Attempt counts up from 1 each time the offer is sent: if it was accepted, the transfer resumes with that
	// attempt.
	Attempt int64 `json:"attempt"`
	// Keep means that the sender waits without a time limit for a receiver that is offline.
	Keep bool `json:"keep,omitempty"`
	// Note is the sender's note, for a person.
	Note string `json:"note,omitempty"`
	// Preview is a small picture of the content, at most MaxPreview bytes of JPEG or PNG.
	Preview []byte `json:"preview,omitempty"`
}

// The maximum lengths of a note, in bytes of UTF-8, and of a preview, in bytes.
const (
	MaxNote    = 1000
	MaxPreview = 12 << 10
)

// SameService reports whether the service types of two greetings allow a connection: they are equal, or one is not
// given. Engines of several services may share one key, and a connection belongs to one of them.
func SameService(a, b string) bool { return a == "" || b == "" || a == b }

// MaxOfferNames is how many top-level names an offer shows.
const MaxOfferNames = 20

// OfferUpdate sends newer totals while the sender is still counting.
type OfferUpdate struct {
	ID       string `json:"id"`
	Files    int64  `json:"files"`
	Folders  int64  `json:"folders"`
	Bytes    int64  `json:"bytes"`
	Counting bool   `json:"counting,omitempty"`
}

// OfferAnswer accepts or declines an offer.
type OfferAnswer struct {
	ID      string `json:"id"`
	Accept  bool   `json:"accept"`
	Code    Code   `json:"code,omitempty"`
	Attempt int64  `json:"attempt"` // the attempt that is answered
	// Done reports, with the code Delivered, what was delivered.
	Done *OfferDone `json:"done,omitempty"`
}

// OfferDone is what a completed offer has delivered.
type OfferDone struct {
	Files   int64 `json:"files"`
	Folders int64 `json:"folders"`
	Bytes   int64 `json:"bytes"`
	LeftOut int64 `json:"left_out,omitempty"` // entries that were offered but did not arrive
}

// OfferCancel withdraws an offer or ends its transfer, from either side. With the code Failed, Reason is the number
// that records use for the transfer's reason, and Path is the entry at which it ended, as the sender names it.
type OfferCancel struct {
	ID     string `json:"id"`
	Code   Code   `json:"code,omitempty"`
	Reason int    `json:"reason,omitempty"`
	Path   string `json:"path,omitempty"`
}

// OfferPause pauses an accepted transfer, from either side, until either side sends OfferResume.
type OfferPause struct {
	ID string `json:"id"`
}

// OfferResume resumes a paused transfer.
type OfferResume OfferPause

// Lanes allows the dialling side to open the lanes of an attempt. QUIC is how many it opens over QUIC; in the first
// Lanes message it is 0, and the dialling side chooses.
type Lanes struct {
	ID      string `json:"id"`
	Attempt int64  `json:"attempt"`
	QUIC    int    `json:"quic"`
}

// MaxLanes is how many lanes over QUIC a transfer may have.
const MaxLanes = 8

// Lane is the first frame on a lane. Token binds the lane to the session: it is the session connection's TLS exporter
// (RFC 8446 section 7.5) with LaneLabel and the transfer's ID as context, in hex.
type Lane struct {
	ID      string `json:"id"`
	Attempt int64  `json:"attempt"`
	Token   string `json:"token"`
}

// LaneAck answers Lane; the bytes of the transfer follow.
type LaneAck struct {
	Code Code `json:"code,omitempty"` // Bye (absent) means accepted
}

// LaneLabel is the exporter label of Lane.Token.
const LaneLabel = "EXPORTER-multipeer-lane"

// PairStart proposes to compare codes, and carries the initiator's commitment; see identity.Pairing. All byte strings of
// the pairing messages are 32 bytes in hex. ID identifies the attempt.
type PairStart struct {
	ID     string `json:"id"`
	Commit string `json:"commit"`
}

// PairNonce is the responder's nonce, sent when its user has chosen the initiator.
type PairNonce struct {
	ID    string `json:"id"`
	Nonce string `json:"nonce"`
}

// PairReveal is the nonce that the initiator has committed to.
type PairReveal PairNonce

// PairConfirm proves that the sender's user has confirmed. It answers PairLink too.
type PairConfirm struct {
	ID    string `json:"id"`
	Proof string `json:"proof"`
}

// PairLink proves that the sender was given the link that the receiver shows.
type PairLink PairConfirm

// PairCancel ends an attempt, from either side.
type PairCancel struct {
	ID   string `json:"id"`
	Code Code   `json:"code,omitempty"`
}

// StreamOpen opens a stream of the program; its bytes follow in both directions.
type StreamOpen struct {
	Name string `json:"name"`
}

// Echo opens a stream whose bytes are sent back as they arrive, to measure round trips.
type Echo struct{}

func (Hello) kind() string        { return "hello" }
func (HelloAck) kind() string     { return "hello_ack" }
func (Invite) kind() string       { return "invite" }
func (InviteAnswer) kind() string { return "invite_answer" }
func (InviteCancel) kind() string { return "invite_cancel" }
func (Leave) kind() string        { return "leave" }
func (Renew) kind() string        { return "renew" }
func (Info) kind() string         { return "info" }
func (Peers) kind() string        { return "peers" }
func (Ping) kind() string         { return "ping" }
func (Pong) kind() string         { return "pong" }
func (Text) kind() string         { return "message" }
func (TextAck) kind() string      { return "message_ack" }
func (Offer) kind() string        { return "offer" }
func (OfferUpdate) kind() string  { return "offer_update" }
func (OfferAnswer) kind() string  { return "offer_answer" }
func (OfferCancel) kind() string  { return "offer_cancel" }
func (OfferPause) kind() string   { return "offer_pause" }
func (OfferResume) kind() string  { return "offer_resume" }
func (Lanes) kind() string        { return "lanes" }
func (Lane) kind() string         { return "lane" }
func (LaneAck) kind() string      { return "lane_ack" }
func (PairStart) kind() string    { return "pair_start" }
func (PairNonce) kind() string    { return "pair_nonce" }
func (PairReveal) kind() string   { return "pair_reveal" }
func (PairConfirm) kind() string  { return "pair_confirm" }
func (PairLink) kind() string     { return "pair_link" }
func (PairCancel) kind() string   { return "pair_cancel" }
func (Echo) kind() string         { return "echo" }
func (StreamOpen) kind() string   { return "stream" }

var decoders = map[string]func([]byte) (Message, error){
	"hello":         as[Hello],
	"hello_ack":     as[HelloAck],
	"invite":        as[Invite],
	"invite_answer": as[InviteAnswer],
	"invite_cancel": as[InviteCancel],
	"leave":         as[Leave],
	"renew":         as[Renew],
	"info":          as[Info],
	"peers":         as[Peers],
	"ping":          as[Ping],
	"pong":          as[Pong],
	"message":       as[Text],
	"message_ack":   as[TextAck],
	"offer":         as[Offer],
	"offer_update":  as[OfferUpdate],
	"offer_answer":  as[OfferAnswer],
	"offer_cancel":  as[OfferCancel],
	"offer_pause":   as[OfferPause],
	"offer_resume":  as[OfferResume],
	"lanes":         as[Lanes],
	"lane":          as[Lane],
	"lane_ack":      as[LaneAck],
	"pair_start":    as[PairStart],
	"pair_nonce":    as[PairNonce],
	"pair_reveal":   as[PairReveal],
	"pair_confirm":  as[PairConfirm],
	"pair_link":     as[PairLink],
	"pair_cancel":   as[PairCancel],
	"stream":        as[StreamOpen],
	"echo":          as[Echo],
}

// Types returns the names of all message types.
func Types() []string {
	out := make([]string, 0, len(decoders))
	for name := range decoders {
		out = append(out, name)
	}
	return out
}

func as[M Message](raw []byte) (Message, error) {
	var m M
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, malformed("%s: %v", m.kind(), err)
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

// Decode checks raw strictly and returns its message. For a type that this version does not know it returns nil without
// an error: a newer peer may send such types, and they are skipped.
func Decode(raw []byte) (Message, error) {
	var w walker
	if err := w.scan(raw); err != nil {
		return nil, err
	}
	if raw[0] != '{' {
		return nil, malformed("not an object")
	}
	name, ok := plain(w.kind)
	if !ok || name == "" {
		return nil, malformed("no type")
	}
	decode, ok := decoders[name]
	if !ok {
		return nil, nil
	}
	if name != "message" && len(raw) > MaxControl { // guard: control-size
		return nil, fmt.Errorf("%s: %d bytes, limit %d: %w", name, len(raw), MaxControl, ErrTooLarge)
	}
	if m, ok := w.hot(name); ok {
		if err := m.check(); err != nil {
			return nil, err
		}
		return m, nil
	}
	return decode(raw)
}
