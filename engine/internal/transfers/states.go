package transfers

import "errors"

// event is something that happens to a transfer.
type event int

// The events. The last four end the transfer.
const (
	proposed   event = iota // the offer was sent to the peer
	accepted                // a person or a rule here has accepted it
	askedAgain              // it delivers more than was accepted: the person is asked again
	waits                   // it waits for a turn, or for its peer
	moves                   // bytes arrive
	stalls                  // no bytes arrive, for now
	pauses                  // either side has paused it
	resumes                 // either side has resumed it
	allArrived              // what arrived is being made durable
	revived                 // it has ended and continues
	delivered
	declined
	cancelled
	failed
)

// transitions defines which state follows when an event happens in a state. Events that are not listed cannot happen or
// change nothing: a paused transfer stays paused whatever its last attempt reports, and one that has ended can only be
// revived.
var transitions = map[event]map[State]State{
	proposed:   {Queued: Offered, Offered: Offered, Stalled: Offered},
	accepted:   {Offered: Queued},
	askedAgain: {Queued: Offered, Moving: Offered, Stalled: Offered, Finishing: Offered, Paused: Offered},
	waits:      {Queued: Queued, Offered: Queued, Moving: Queued, Stalled: Queued, Finishing: Queued},
	moves:      {Queued: Moving, Moving: Moving, Stalled: Moving, Finishing: Moving},
	stalls:     {Queued: Stalled, Moving: Stalled, Stalled: Stalled, Finishing: Stalled},
	pauses:     {Queued: Paused, Offered: Paused, Moving: Paused, Stalled: Paused, Finishing: Paused, Paused: Paused},
	resumes:    {Paused: Queued},
	allArrived: {Queued: Finishing, Moving: Finishing, Stalled: Finishing, Finishing: Finishing},
	revived:    {Declined: Queued, Cancelled: Queued, Failed: Queued},
	delivered:  unlessEnded(Delivered),
	declined:   unlessEnded(Declined),
	cancelled:  unlessEnded(Cancelled),
	failed:     unlessEnded(Failed),
}

func unlessEnded(to State) map[State]State {
	all := map[State]State{}
	for from := Queued; !from.Final(); from++ {
		all[from] = to
	}
	return all
}

// stepLocked applies an event to the state, with the reason for it. It reports whether the state or the reason has
// changed.
func (t *item) stepLocked(ev event, why error) bool {
	v := &t.view
	to, ok := transitions[ev][v.State]
	if !ok || v.State == to && errors.Is(v.Err, why) && errors.Is(why, v.Err) {
		return false
	}
	v.State, v.Err = to, why
	return true
}

// happenedLocked applies an event to the state, and publishes the result.
func (m *Manager) happenedLocked(t *item, ev event, why error) {
	if !t.stepLocked(ev, why) {
		return
	}
	if t.view.State != Moving {
		t.view.Rate, t.view.Left = 0, 0
		t.markLocked()
	}
	m.publishLocked(t)
}
