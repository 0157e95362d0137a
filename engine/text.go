package engine

import "multipeer/engine/internal/wire"

// CleanText makes text from a peer, such as a message, safe for a terminal or a label: control, bidirectional and
// private-use characters become visible escapes; line breaks and tabs stay. Received names are clean.
func CleanText(s string) string { return wire.CleanText(s) }

// CleanLine is CleanText for one line: line breaks and tabs become escapes.
func CleanLine(s string) string { return wire.CleanLine(s) }
