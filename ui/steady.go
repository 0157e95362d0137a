package ui

import "time"

// lookAgain is how long a press on a button accepts or sends nothing after a peer has moved the button or changed what
// it does: the user may have meant what was there before.
const lookAgain = time.Second

// steady tracks when a card with a peer's request last appeared, moved or changed without the user's doing.
type steady struct {
	since time.Time
	u     *UI
}

// Shifted implements widgets.Shifting.
func (s *steady) Shifted() { s.since = time.Now() }

// press returns a function that calls do, unless the card has just shifted.
func (s *steady) press(do func()) func() {
	return func() {
		if time.Since(s.since) < lookAgain {
			hasty(s.u)
			return
		}
		do()
	}
}

// hasty shows that a press was ignored.
func hasty(u *UI) { u.say(tr("This has just changed. Check it, then press again.")) }
