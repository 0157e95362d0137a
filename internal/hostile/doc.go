// Package hostile holds the tests that attack a running engine: a peer that speaks the wire protocol by hand, knows
// none of the engine's encoders, and breaks every rule that it can, before it is greeted, with a session, and inside a
// transfer. The engine under attack is a process of its own, judged from outside: what became of the attacker's
// conn, what lies in the folder, how fast another peer is served meanwhile, how much memory and processor it takes.
package hostile
