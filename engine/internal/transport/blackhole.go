package transport

// BlackHole detects that a path still carries small packets but no large ones, without any router reporting it. MTU
// discovery only ever raises the packet size, so a connection over such a path stays up indefinitely and carries
// nothing larger than its keep-alives. A new connection starts with packets that every path carries.
//
// The zero value is ready. It is not safe for concurrent use.
type BlackHole struct {
	seen []Stats
}

const (
	// holeWindow is how many samples are examined. A path that pauses shows losses in only one of them.
	holeWindow = 7
	// holeLosses is the number of intervals in the window in which large packets have to be lost.
	holeLosses = 2
	// holeAnswers is how many packets per second may come from a peer that gets none of the large ones.
	holeAnswers = 2
	// holeFlight is how many packets have to be lost after the first losses if the peer answers more than that.
	holeFlight = 10
)

// Found takes a sample of a connection's stats and reports whether the path is a black hole for large packets: only
// large ones are lost, repeatedly, and either the peer has nothing to acknowledge or most of what was sent is lost.
// It is to be called once a second.
func (b *BlackHole) Found(s Stats) bool {
	b.seen = append(b.seen, s)
	if len(b.seen) < 2 {
		return false
	}
	if len(b.seen) > holeWindow {
		b.seen = b.seen[1:]
	}
	intervals := 0
	var lossy Stats // at the end of the first interval with losses: what was sent long before says nothing about the path now
	for i, now := range b.seen[1:] {
		if now.PacketsLost == b.seen[i].PacketsLost {
			continue
		}
		intervals++
		if intervals == 1 {
			lossy = now
		}
	}
	first := b.seen[0]
	packets, bytes := s.PacketsLost-first.PacketsLost, s.BytesLost-first.BytesLost
	if intervals < holeLosses || bytes <= packets*packetSize || s.PacketsReceived == first.PacketsReceived {
		return false
	}
	seconds := uint64(len(b.seen) - 1)
	if s.PacketsReceived-first.PacketsReceived <= seconds*holeAnswers {
		return true
	}
	// A busy machine also loses most of the few packets sent at one moment, but not a whole flight of large ones.
	return s.PacketsLost-lossy.PacketsLost >= holeFlight && 2*(s.BytesLost-lossy.BytesLost) >= s.BytesSent-lossy.BytesSent
}
