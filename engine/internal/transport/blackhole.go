package transport

// BlackHole detects that a path still carries small packets but no large ones, although no router reports it. MTU
// discovery only ever raises the packet size, so a connection over such a path stays up indefinitely and carries
// nothing larger than its keep-alives. A new connection starts with packets that every path carries.
//
// The zero value is ready to use. It is not safe for concurrent use.
type BlackHole struct {
	seen []Stats
}

const (
	// holeWindow is how many samples are examined. A path that pauses shows losses in only one of them.
	holeWindow = 7
	// holeLosses is the number of intervals in the window in which large packets have to be lost.
	holeLosses = 2
	// holeAnswers is the maximum number of packets per second from a peer that receives no large packets.
	holeAnswers = 2
	// holeFlight is how many packets have to be lost after the first losses if the peer sends more than holeAnswers.
	holeFlight = 10
	// silentWindow is how many samples are examined for silence. It is longer because a busy machine pauses for
	// seconds.
	silentWindow = 12
	// holeProbes is how many large packets have to be sent while nothing is acknowledged.
	holeProbes = 2
)

// Found takes a sample of a connection's stats and reports whether the path is a black hole for large packets. Call it
// once a second.
func (b *BlackHole) Found(s Stats) bool {
	b.seen = append(b.seen, s)
	if len(b.seen) < 2 {
		return false
	}
	if len(b.seen) > silentWindow {
		b.seen = b.seen[1:]
	}
	return b.loses() || b.silent()
}

// loses reports whether only large packets are lost, repeatedly, and either the peer has nothing to acknowledge or most
// of what was sent is lost.
func (b *BlackHole) loses() bool {
	seen := b.seen[max(0, len(b.seen)-holeWindow):]
	intervals := 0
	var lossy Stats // at the end of the first interval with losses: what was sent long before says nothing about the path now
	for i, now := range seen[1:] {
		if now.PacketsLost == seen[i].PacketsLost {
			continue
		}
		intervals++
		if intervals == 1 {
			lossy = now
		}
	}
	first, s := seen[0], seen[len(seen)-1]
	packets, bytes := s.PacketsLost-first.PacketsLost, s.BytesLost-first.BytesLost
	if intervals < holeLosses || bytes <= packets*packetSize || s.PacketsReceived == first.PacketsReceived {
		return false
	}
	if answersLittle(seen) {
		return true
	}
	// A busy machine also loses most of the few packets sent at one moment, but not a whole flight of large ones.
	return s.PacketsLost-lossy.PacketsLost >= holeFlight && 2*(s.BytesLost-lossy.BytesLost) >= s.BytesSent-lossy.BytesSent
}

// silent reports whether, after large packets were lost, further large packets were sent and none was acknowledged,
// although the peer's keep-alives arrive. The probes of RFC 9002 section 6.2 that follow a first loss are never
// declared lost, since nothing later is acknowledged. An acknowledgement changes the smoothed round-trip time, unless
// the clock is coarse.
func (b *BlackHole) silent() bool {
	first, s := b.seen[0], b.seen[len(b.seen)-1]
	if len(b.seen) < silentWindow || s.BytesLost <= s.PacketsLost*packetSize {
		return false
	}
	for _, at := range b.seen {
		if at.RTT != s.RTT || at.Jitter != s.Jitter {
			return false
		}
	}
	return s.PacketsReceived > first.PacketsReceived && answersLittle(b.seen) && s.BytesSent-first.BytesSent > holeProbes*packetSize
}

// answersLittle reports whether few packets came from the peer.
func answersLittle(seen []Stats) bool {
	first, s := seen[0], seen[len(seen)-1]
	return s.PacketsReceived-first.PacketsReceived <= uint64(len(seen)-1)*holeAnswers
}
