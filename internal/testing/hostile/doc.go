// Package hostile holds the tests that attack a running engine: a peer that speaks the wire protocol directly, uses
// none of the engine's encoders, and breaks every rule it can, before the greeting, during a session, and within a
// transfer. The engine under attack is a separate process, judged from outside: by what happens to the attacker's
// connection, what is in the folder, how fast another peer is served in the meantime, and how much memory and CPU it
// uses.
package hostile
