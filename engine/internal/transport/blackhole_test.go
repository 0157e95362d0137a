package transport

import "testing"

// TestBlackHole_OnlyLargePacketsAreLost distinguishes a path that loses only large packets from paths that are slow,
// lossy or interrupted.
func TestBlackHole_OnlyLargePacketsAreLost(t *testing.T) {
	type second struct{ sent, lost, size, received uint64 } // packets, and the total size of those sent and lost
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
		"nothing is lost":                        {repeat(30, second{100, 0, 1452, 50}), false},
		"large packets alone are lost":           {[]second{{58, 14, 1436, 3}, {2, 0, 1436, 0}, {21, 14, 1436, 1}, {4, 0, 1436, 0}}, true},
		"much has arrived just before":           {[]second{{100, 0, 1436, 100}, {73, 14, 1436, 38}, {4, 0, 1436, 0}, {35, 28, 1436, 7}, {4, 0, 1436, 0}}, true},
		"all that is large is lost, others talk": {repeat(10, second{20, 18, 1452, 100}), true},
		"one packet in four is lost":             {repeat(30, second{100, 25, 1452, 40}), false},
		"a slow line with a full queue":          {repeat(30, second{6, 1, 1452, 5}), false},
		"an interruption":                        {[]second{{100, 0, 1452, 50}, {10, 0, 1452, 0}, {3, 0, 1452, 0}, {1, 0, 1452, 0}, {50, 12, 1452, 8}, {100, 0, 1452, 50}}, false},
		"small packets are lost":                 {repeat(30, second{4, 3, 300, 1}), false},
		"packets of the first size are lost":     {repeat(30, second{4, 3, packetSize, 1}), false},
		"nothing comes back":                     {repeat(30, second{4, 3, 1452, 0}), false},
	} {
		var b BlackHole
		var s Stats
		found := b.Found(s)
		for _, x := range c.path {
			s.PacketsSent, s.BytesSent = s.PacketsSent+x.sent, s.BytesSent+x.sent*x.size
			s.PacketsLost, s.BytesLost = s.PacketsLost+x.lost, s.BytesLost+x.lost*x.size
			s.PacketsReceived += x.received
			found = b.Found(s) || found
		}
		if found != c.hole {
			t.Errorf("%s: found %v", name, found)
		}
	}
}
