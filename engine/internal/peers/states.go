package peers

// event is something that happens to the session with a peer.
type event int

// The events.
const (
	invited  event = iota // we have sent an invitation
	answered              // our invitation was answered or withdrawn, without a session
	began                 // a session has begun or resumed
	broke                 // the connection of the session broke
	returned              // the session has a connection again
	ended                 // the session has ended
)

// transitions defines which state follows when an event happens in a state. Events that are not listed change nothing:
// an invitation that crosses the beginning of a session is settled by it.
var transitions = map[event]map[State]State{
	invited:  {Found: Connecting},
	answered: {Connecting: Found},
	began:    {Found: Connected, Connecting: Connected},
	broke:    {Connected: Reconnecting, Reconnecting: Reconnecting},
	returned: {Connected: Connected, Reconnecting: Connected},
	ended:    {Connected: Found, Reconnecting: Found},
}

// happened applies an event to the state.
func (p *peer) happened(ev event) {
	if to, ok := transitions[ev][p.state]; ok {
		p.state = to
	}
}
