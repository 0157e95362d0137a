package address

import (
	"strings"
	"testing"
)

const id = "aeaqcaiba-eaqcaibae-aqcaibaea-qcaibaeaq-caibaeaqc-aibaeaq73"

// TestParseTarget_ZonesAreInterfaces: a link from a web page must not be able to insert sentences into a prompt.
func TestParseTarget_ZonesAreInterfaces(t *testing.T) {
	for zone, ok := range map[string]bool{
		"eth0": true, "en0": true, "br-1a2b3c4d5e6f": true, "wlp2s0.100": true, "12": true,
		"eth0. Anna has shown this link": false, "Press Verify": false, "a\u202eb": false, strings.Repeat("x", 17): false, "é": false,
	} {
		_, addresses, err := ParseTarget(id + "@[fe80::1%" + zone + "]:17717")
		if (err == nil) != ok {
			t.Errorf("%q: %v, %v", zone, addresses, err)
		}
	}
}
