// Package engine finds the devices near you and talks to them: the open
// successor of Apple's MultipeerConnectivity.
//
// Engines on one network find each other with no server, prove their keys to
// each other over QUIC, and, once an invitation was accepted, exchange
// messages, byte streams and files. It needs no window and no cgo. The desktop
// window, the terminal program and any other program are readers of the same
// engine:
//
//	e, err := engine.New(engine.Config{Service: "my-game", Invite: engine.Everyone, Accept: engine.Everyone})
//	...
//	go e.Handling(ctx, engine.Handler{
//		PeerAdded: func(p engine.Peer) { fmt.Println(p.Name, "is here") },
//		Receive:   func(m engine.Message) { fmt.Println(m.Name, "says", string(m.Body)) },
//	})()
//	err = e.Run(ctx)
//
// # Running
//
// [New] checks the configuration and touches no network. [Engine.Run] opens
// the socket and blocks until its context ends; when it returns, every
// goroutine of the engine has ended. Commands are methods; they may be called
// from any goroutine, also from a [Handler] or between two events of
// [Engine.Watch]. Those that take a context block, at the longest until it
// ends, and each but Offer and Wait has a limit of its own besides. Several engines may live in
// one process; there is no global state.
//
// # News
//
// [Engine.Watch] is one stream of typed events: a [Snapshot] first, then each
// change, on the goroutine that ranges over it. [Engine.Handle] calls one
// function for each kind of news instead, in the style of the Pythonista
// module, and [Engine.Handling] does so beside Run. There may be any number
// of readers. A slow one never blocks the engine: of a peer or a transfer it
// gets the newest state, and messages for which there is no room, with any of
// the readers, are refused, so that their senders know. What was taken is
// read: a loop whose context has ended still gets the messages that were
// acknowledged. A program that only waits for a state reads
// [Engine.WatchState], and leaves messages to others. A program with a window
// hands events to its main thread itself, in one place.
//
// # Peers
//
// A peer is a key. [PeerID] is derived from it and is the same in every run
// with the same [Config].Profile; names are for people and prove nothing. A
// peer is Found when the network tells of it or it has dialled us; its
// discovery info ([Config].Info, [Engine.SetInfo]) can be read then. Where
// multicast does not reach, [Engine.Dial] takes an address or a
// [Engine.Ticket], connected peers tell each other of those that are visible
// to everyone on their network, and [Config].Discovery replaces multicast DNS
// altogether.
//
// [Engine.Invite] asks for a session. The other program answers by hand
// ([InvitationReceived]), by a function ([Config].Admit) or by a policy
// ([Config].Accept); either side's context goes along and is known when
// [PeerAdded] comes, once on each side, whoever dialled or invited. If both
// invite at once there is one session. [Engine.Disconnect] kicks a peer,
// [Engine.SetTrust] blocks its key, [Config].Verify refuses it in the
// handshake.
//
// A session outlives its conn. When a conn breaks, the peer is Reconnecting
// for up to 3 s: messages wait, and go on in order over the new conn.
// After that [PeerRemoved] tells why, and what was not delivered fails. If the
// network comes back later, so does the session, without an invitation, until
// one of the two has left. A peer that crashes is noticed within 13 s, one
// that ends at once.
//
// # Three ways to send
//
//   - [Engine.Send] sends any JSON value and waits until each recipient's
//     program has it; [Engine.Post] is the same without the waiting, and
//     [Delivery] tells the end. Messages of one sender arrive in order and
//     once. Every recipient has a [Result]; no message is lost silently.
//   - [Engine.SendDatagram] sends a small JSON value at once or not at all: for
//     positions in a game, where the next one is worth more than the last one
//     again.
//   - [Engine.OpenStream] opens a byte stream, both ways, with flow control: a
//     stopped reader stops that writer and nobody else. Nothing has boundaries
//     there but by [Stream.WriteFrame].
//
// # Files
//
// [Engine.Offer] offers files and folders to a peer; nothing moves before its
// program has accepted ([OfferReceived]). Each chunk is verified, nothing is
// overwritten unless [AcceptOptions].Existing says so, and Delivered means that
// all is durable under its final name on the other disk. File bytes have conns
// of their own, the lanes ([Transfer].Lanes), so that they do not delay
// messages: TLS over TCP where it can be had, QUIC otherwise, and more of it
// where packets are lost.
//
// An accepted transfer goes on by itself after a crash or restart of either
// side, a lost network, another address or a full disk, and what has arrived is
// not sent again; [TransferState] says what it waits for. [OfferOptions].Keep
// makes that last as long as it takes, also for a peer that is not there yet;
// without it a transfer whose peer is gone fails within 30 s, and
// [Engine.Retry] goes on with it. [Engine.Pause], [Engine.Resume] and
// [Engine.Cancel] are in effect on both sides at once. [Engine.OfferEach] sends
// one source to several peers and reads it once. Of the transfers to one peer 4
// move at once, in all 12; the others wait their turn, by priority.
//
// # Who it is
//
// A peer is its key. [Engine.Pair] has two people compare six digits: the user
// of one device picks the other ([PairingChanged] with PairingAsked), one
// screen shows a code, the other three, and [Engine.ConfirmPairing] on both
// makes each a verified peer of the other. [Engine.PairingLink] and
// [Engine.OpenLink] do it in one step. [Engine.SetTrust] is for IDs that came
// another way. From verified peers files may be taken without asking
// ([Engine.SetAutoAccept]). [Peer].LooksLike warns of a name that belongs to a
// better known peer. [Config].Visible and [Engine.SetVisible] say who may see
// this engine and connect to it.
//
// # What comes from peers
//
// Messages, contexts, names and discovery info are a stranger's words. The
// engine bounds them, checks that JSON is what it seems (no doubled keys, no
// broken UTF-8), and cleans names of what breaks a line or turns its
// direction. What they mean is the program's to check; show them as text, and
// with [CleanText] or [CleanLine] in a terminal.
//
// # Limits
//
//	display name                      1 to 63 bytes of UTF-8 (MaxName)
//	service type                      1 to 15 characters of a-z, 0-9 and - (MaxService)
//	discovery info, one key=value     255 bytes (MaxPair)
//	discovery info in all             1000 bytes, about 400 are advised (MaxInfo)
//	context of an invitation          16384 bytes of JSON (MaxContext)
//	message                           1048576 bytes of JSON (MaxMessage)
//	unreliable message                1100 bytes of JSON (MaxDatagram)
//	JSON from a peer                  31 levels, 199984 tokens
//	pending messages to one peer      256 (MaxPending)
//	wait for a message's answer       30 s (SendTimeout)
//	wait for an invitation's answer   30 s (InviteTimeout)
//	wait for an offer's answer        10 min (OfferTimeout)
//	open streams of one peer          32 in each direction of opening (MaxStreams)
//	unread bytes of one stream        524288 bytes
//	name of a stream                  1 to 63 bytes of UTF-8 (MaxStreamName)
//	unread events of one reader       4096, of them 33554432 bytes of messages
//	peers that are known at once      1024
//	sessions                          no limit but Config.MaxPeers
package engine
