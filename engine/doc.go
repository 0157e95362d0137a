// Package engine finds nearby devices and communicates with them: an open successor to Apple's MultipeerConnectivity.
// Engines on one network find each other without a server, authenticate each other by their keys over QUIC, and, once an
// invitation is accepted, exchange messages, byte streams and files. The package needs neither a window nor cgo.
//
//	e, err := engine.New(engine.Config{Service: "my-game", Invite: engine.Everyone, Accept: engine.Everyone})
//	...
//	e.Handle(ctx, engine.Handler{
//		PeerAdded: func(p engine.Peer) { fmt.Println(p.Name, "is here") },
//		Receive:   func(m engine.Message) { fmt.Println(m.Name, "says", string(m.Body)) },
//	})
//	err = e.Run(ctx)
//
// # Running
//
// [New] does not touch the network. [Engine.Start] opens the socket, and the engine runs until the context of Start
// ends or [Engine.Close] is called. Methods may be called from any goroutine, including from a Handler. Those that take
// a context return when it ends, with an error that is ErrTimeout or ErrCancelled as well as the error of the context,
// or with the cause that the program has given it. A call that needs the network returns ErrClosed once the engine has
// ended.
//
// # Events
//
// [Engine.Watch] yields typed events: a [Snapshot], then each change. [Engine.Handle] calls one function for each kind of
// event instead. There may be any number of readers. What no reader takes is refused: its sender gets ErrUnavailable. A
// slow reader delays no one else: it gets the newest state of each peer and transfer, and messages that do not fit in its
// queue wait at their senders. Several readers of the same messages all get each of them, at the pace of the slowest.
//
// # Peers and sessions
//
// A peer is its key: a [PeerID] is the same in every run with one Config.Profile. Names prove nothing. A peer is Found
// when discovery reports it, [Engine.Dial] reaches it, or it connects to us: that is not a session yet. [Engine.Invite]
// asks for one, the other program accepts ([Invitation], Config.Accept), and both get [PeerAdded]. A session outlives its
// connection by 3 s: messages wait, and continue in order. Then [PeerRemoved] gives the reason, and what was not
// delivered fails. When the network is back later, the session resumes without an invitation, unless a side has left it.
//
// # Sending
//
//   - [Engine.Send] and [Engine.Post] deliver JSON or bytes in order and once, with a [Result] for each recipient.
//     [Engine.SendDatagram] delivers at once or not at all. A [Topic] separates the parts of a program.
//   - [Engine.OpenStream] opens a byte stream with flow control. [Engine.HandleStream] and [Engine.Listen] accept.
//   - [Engine.Offer] offers files and folders. Nothing is sent before the other program has accepted the [Offer], and
//     Delivered means durable under the final name on the other disk; see [Transfer.Complete] for what was left out. After
//     an interruption a transfer resumes by itself; after a restart of the sender only with OfferOptions.Keep and a profile.
//
// # Trust
//
// With [Engine.Pair] or [Engine.OpenLink] two people verify each other's devices; [Engine.SetTrust] records what they
// decide. Messages, contexts, names and discovery info are untrusted: the engine limits their size, checks that JSON is
// unambiguous, and removes from names what breaks a line or changes the direction of text. Show the rest with [CleanText].
//
// # Limits
//
//	display name, name of a stream    1 to 63 bytes of UTF-8; name of a topic 1 to 31
//	service type                      1 to 15 characters of a-z, 0-9 and -
//	discovery info                    1000 bytes in total, 255 for one key=value
//	context of an invitation          16384 bytes of JSON (MaxContext)
//	message                           1048576 bytes (MaxMessage); 256 to one peer may wait for answers
//	unreliable message                1100 bytes (MaxDatagram)
//	wait for an answer                30 s (SendTimeout) to a message or an invitation, 10 min to an offer
//	open streams of one peer          32 opened by each side, each with 524288 unread bytes
//	unanswered offers from one peer   10; 2 from one that was never accepted; more wait
//	unread events of one reader       4096; at most 1024 messages of one peer, 33554432 bytes of messages
//	transfers at once                 4 to one peer, 12 in total
//	peers that are listed at once     1024
package engine

import (
	"time"

	"multipeer/engine/internal/peers"
	"multipeer/engine/internal/transport"
	"multipeer/engine/internal/wire"
)

// Defaults of Config.
const (
	DefaultService = "multipeer"           // the service type of the Multipeer programs
	DefaultPort    = transport.DefaultPort // the UDP port that an engine tries first
)

// Limits, in bytes. The package comment has the others.
const (
	MaxContext  = peers.MaxContext  // JSON of the context of an invitation or its answer
	MaxMessage  = wire.MaxMessage   // a message, as JSON or bytes
	MaxDatagram = peers.MaxDatagram // the same for SendDatagram: it fits into one packet on every path
	MaxNote     = wire.MaxNote      // OfferOptions.Note, in UTF-8
	MaxPreview  = wire.MaxPreview   // OfferOptions.Preview
	MaxTopic    = wire.MaxTopic     // the name of a Topic, in UTF-8
)

// SendTimeout limits how long Send, Post, Invite, Pair, OpenStream and Ping wait, even if their context ends later.
const SendTimeout = 30 * time.Second
