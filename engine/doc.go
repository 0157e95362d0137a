// Package engine finds nearby devices and communicates with them. It is an open successor to Apple's
// MultipeerConnectivity.
//
// Engines on one network find each other without a server, authenticate each other by their keys over QUIC, and, once
// an invitation is accepted, exchange messages, byte streams and files. The package needs neither a window nor cgo. The
// desktop window, the terminal program and any other program use the engine in the same way:
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
// [New] checks the configuration and does not touch the network. [Engine.Start] opens the socket, and the engine runs
// until its context ends or [Engine.Close] is called; [Engine.Run] is both in one call. [Engine.Done] is closed when
// every goroutine of the engine has ended. [Engine.Shutdown] first delivers the messages that wait for an answer. Once
// the engine has ended, every call returns [ErrClosed].
//
// Commands are methods. They may be called from any goroutine, including from a [Handler] or between two events of
// [Engine.Watch]. Those that take a context block at most until it ends, and all of them except Offer, Wait and
// Shutdown have their own time limit as well. Several engines may run in one process; there is no global state. With
// Config.Share they are one peer with several services.
//
// # Events
//
// [Engine.Watch] is a single stream of typed events: first a [Snapshot], then each change, on the goroutine that ranges
// over it. [Engine.Handle] instead calls one function for each kind of event, in the style of the Pythonista module;
// Run waits for its calls. There may be any number of readers, so several packages can share an engine: a Handler
// leaves the events that it has no function for to other readers. [Engine.HandleStream] gives the streams of one name
// to one function. Streams and messages that nothing takes are refused, and their senders get [ErrUnavailable].
//
// A slow reader never blocks the engine: it gets only the newest state of each peer and transfer. Messages that do not
// fit in its queue stay with their senders, so a program that reads slowly slows down those that send to it.
// Acknowledged messages are always delivered: a loop whose context has ended still receives them. A program that only
// waits for a state reads [Engine.WatchState], which does not take messages from other readers. A program with a window
// must forward events to its main thread itself, in one place.
//
// # Peers
//
// A peer is a key. [PeerID] is derived from it and is the same in every run with the same [Config].Profile; names are
// for people and prove nothing. A peer is Found once discovery reports it or it connects to us; from then on its
// discovery info ([Config].Info, [Engine.SetInfo]) can be read. Where multicast does not reach, [Engine.Dial] takes an
// address or a ticket ([Engine.Ticket]), connected peers share the addresses of the peers on their network that are
// visible to everyone, and [Config].Discovery replaces multicast DNS altogether.
//
// [Engine.Invite] asks for a session. The other program answers manually ([InvitationReceived]), with a function
// ([Config].Admit) or by a policy ([Config].Accept). Each side's context is sent along and is known when [PeerAdded]
// arrives, once on each side, regardless of which side dialled or invited. If both invite at the same time, there is
// one session. [Engine.Disconnect] kicks a peer, [Engine.SetTrust] blocks its key, [Config].Verify refuses it in the
// handshake.
//
// A session outlives its connection. When a connection breaks, the peer is Reconnecting for up to 3 s: messages wait,
// and continue in order over the new connection. After that [PeerRemoved] gives the reason, and undelivered messages
// fail. If the network comes back later, the session resumes without an invitation, unless either side has left. A
// crashed peer is noticed within 13 s, a peer that ends normally at once.
//
// # Three ways to send
//
//   - [Engine.Send] sends any JSON value, or raw bytes, to the named peers, or to [Broadcast], and waits until each
//     recipient's program has it; its error is nil only then. [Engine.Post] does not wait for answers, and [Delivery]
//     reports the outcome; it waits while too many messages are pending. Messages of one sender arrive in order and
//     once. Every recipient has a [Result]; no message is lost silently.
//   - [Engine.SendDatagram] sends a small JSON value at once or not at all: for positions in a game, where the next
//     value matters more than repeating the last one.
//   - [Engine.OpenStream] opens a bidirectional byte stream with flow control: a reader that stops also stops the
//     writer of that stream, but no other. Streams have no message boundaries except those of [Stream.WriteFrame].
//
// # Files
//
// [Engine.Offer] offers files and folders to a peer; nothing is transferred before the peer's program has accepted
// ([OfferReceived]). Each chunk is verified, nothing is overwritten unless [AcceptOptions].Existing allows it, and
// Delivered means that everything is durably stored under its final name on the other disk. File data uses separate
// connections, the lanes ([Transfer].Lanes), so that it does not delay messages: TLS over TCP where possible, otherwise
// QUIC, with more lanes where packets are lost.
//
// An accepted transfer resumes by itself after a crash or restart of either side, a network outage, a change of address
// or a full disk, and data that has arrived is not sent again; [TransferState] reports what it waits for. With
// [OfferOptions].Keep it waits indefinitely, even for a peer that is not online yet. Without it, a transfer whose peer
// is gone fails within 30 s, and [Engine.Retry] resumes it. [Engine.Pause], [Engine.Resume] and [Engine.Cancel] take
// effect on both sides at once. [OfferOptions] give a file another name, add a note, or send what an io.Reader yields.
// [Engine.OfferEach] sends one source to several peers and reads it once. At most 4 transfers to one peer run at once,
// and 12 in total; the others wait their turn, by priority.
//
// # Identity
//
// A peer is its key. With [Engine.Pair] two people compare six digits: the user of one device picks the other device
// ([PairingChanged] with PairingAsked), one screen shows a code, the other shows three, and [Engine.ConfirmPairing] on
// both makes each a verified peer of the other. [Engine.PairingLink] and [Engine.OpenLink] do this in one step.
// [Engine.SetTrust] is for IDs that were received another way. Files from verified peers can be accepted automatically
// ([Engine.SetAutoAccept]). [Peer].LooksLike warns of a name that belongs to a more trusted peer. [Config].Visible and
// [Engine.SetVisible] control who can see this engine and connect to it.
//
// # Untrusted input
//
// Messages, contexts, names and discovery info are untrusted input. The engine limits their size, checks that JSON is
// unambiguous (no duplicate keys, no invalid UTF-8), and removes from names the characters that break a line or
// change text direction. Checking the meaning is up to the program. Show them as text, and in a terminal use
// [CleanText] or [CleanLine].
//
// # Limits
//
//	display name                      1 to 63 bytes of UTF-8 (MaxName)
//	service type                      1 to 15 characters of a-z, 0-9 and - (MaxService)
//	discovery info, one key=value     255 bytes (MaxPair)
//	discovery info in total           1000 bytes, about 400 are advised (MaxInfo)
//	context of an invitation          16384 bytes of JSON (MaxContext)
//	message                           1048576 bytes of JSON (MaxMessage)
//	unreliable message                1100 bytes of JSON (MaxDatagram)
//	JSON from a peer                  31 levels, 199984 tokens
//	pending messages to one peer      256 (MaxPending)
//	wait for a message's answer       30 s (SendTimeout)
//	wait for an invitation's answer   30 s (InviteTimeout)
//	wait for an offer's answer        10 min (OfferTimeout)
//	unanswered offers of one peer     10; 2 of a peer that was never accepted. More fail with ErrBusy
//	open streams of one peer          32 in each direction of opening (MaxStreams)
//	unread bytes of one stream        524288 bytes
//	name of a stream                  1 to 63 bytes of UTF-8 (MaxStreamName)
//	unread events of one reader       4096, of them 33554432 bytes of messages
//	peers that are known at once      1024
//	sessions                          no limit but Config.MaxPeers
package engine
