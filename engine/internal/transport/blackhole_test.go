package transport

import "testing"

// TestBlackHole_OnlyLargePacketsAreLost distinguishes a path that loses only large packets from paths that are slow,
// lossy or interrupted.
func TestBlackHole_OnlyLargePacketsAreLost(t *testing.T) {
	type second struct {
		sent, lost, size, received uint64 // packets, and the size of those sent and lost
		deaf                       bool   // the peer acknowledges nothing
	}
	repeat := func(n int, s second) (out []second) {
		for range n {
			out = append(out, s)
		}
		return out
	}
	for name, c := range map[string]struct {
		path []second
		hole bool
	}{
		"nothing is lost":                        {repeat(30, second{100, 0, 1452, 50, false}), false},
		"large packets alone are lost":           {[]second{{58, 14, 1436, 3, false}, {2, 0, 1436, 0, false}, {21, 14, 1436, 1, false}, {4, 0, 1436, 0, false}}, true},
		"much has arrived just before":           {[]second{{100, 0, 1436, 100, false}, {73, 14, 1436, 38, false}, {4, 0, 1436, 0, false}, {35, 28, 1436, 7, false}, {4, 0, 1436, 0, false}}, true},
		"all that is large is lost, others talk": {repeat(10, second{20, 18, 1452, 100, false}), true},
		"one packet in four is lost":             {repeat(30, second{100, 25, 1452, 40, false}), false},
		"a slow line with a full queue":          {repeat(30, second{6, 1, 1452, 5, false}), false},
		"an interruption":                        {[]second{{100, 0, 1452, 50, false}, {10, 0, 1452, 0, false}, {3, 0, 1452, 0, false}, {1, 0, 1452, 0, false}, {50, 12, 1452, 8, false}, {100, 0, 1452, 50, false}}, false},
		"small packets are lost":                 {repeat(30, second{4, 3, 300, 1, false}), false},
		"packets of the first size are lost":     {repeat(30, second{4, 3, packetSize, 1, false}), false},
		"one loss, then unanswered probes":       {append([]second{{30, 28, 1436, 2, false}}, repeat(12, second{1, 0, 1436, 1, true})...), true},
		"probes of the first size":               {repeat(30, second{1, 0, packetSize / 4, 1, true}), false},
		"an idle session":                        {repeat(30, second{1, 0, 34, 1, false}), false},
		"a file is received":                     {repeat(30, second{20, 0, 50, 100, true}), false},
		"a message a second":                     {repeat(30, second{1, 0, 1436, 1, false}), false},
		"a coarse clock":                         {repeat(30, second{2, 0, 1436, 1, true}), false},
		"nothing comes back, and is answered":    {repeat(30, second{2, 0, 1436, 0, true}), false},
		"nothing comes back":                     {repeat(30, second{4, 3, 1452, 0, false}), false},
	} {
		var b BlackHole
		var s Stats
		found := b.Found(s)
		for _, x := range c.path {
			s.PacketsSent, s.BytesSent = s.PacketsSent+x.sent, s.BytesSent+x.sent*x.size
			s.PacketsLost, s.BytesLost = s.PacketsLost+x.lost, s.BytesLost+x.lost*x.size
			s.PacketsReceived += x.received
			if !x.deaf {
				s.RTT++
			}
			found = b.Found(s) || found
		}
		if found != c.hole {
			t.Errorf("%s: found %v", name, found)
		}
	}
}
