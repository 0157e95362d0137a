package engine

import "multipeer/engine/internal/wire"

// CleanText makes text of a peer, such as a message, fit for a terminal or a label: control, bidi and private
// characters become visible escapes; line breaks and tabs stay. Names in Peer, Message and Transfer are clean already.
func CleanText(s string) string { return wire.CleanText(s) }

// CleanLine is CleanText for one line: line breaks and tabs become escapes too.
func CleanLine(s string) string { return wire.CleanLine(s) }

// Unsafe tells a character that CleanText escapes.
func Unsafe(r rune) bool { return wire.BreaksText(r) }
