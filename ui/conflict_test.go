package ui

import (
	"net/netip"
	"strings"
	"testing"

	"multipeer/engine"
	"multipeer/internal/doctor"
)

// TestFindings_AllHaveASentence checks that each finding of the doctor is shown as a sentence instead of its internal
// name.
func TestFindings_AllHaveASentence(t *testing.T) {
	newTestApp(t)
	for _, name := range []doctor.Name{
		doctor.Network, doctor.NoNetwork, doctor.VPN, doctor.PortTaken, doctor.Clock, doctor.OwnFirewall, doctor.NoMulticast, doctor.Peers,
		doctor.OtherFirewall, doctor.Filtered, doctor.Nobody, doctor.Address, doctor.OtherSubnet, doctor.Reached, doctor.Refused, doctor.Version,
		doctor.SameIdentity, doctor.LocalSend, doctor.Failed,
	} {
		f := doctor.Finding{Name: name, Bad: true, N: 1, Detail: "10.77.0.2:17717", Err: engine.ErrTimeout}
		if what, _ := findingWords(f); what == "" || what == string(name) || strings.Contains(what, "{{") {
			t.Errorf("%s: %q", name, what)
		}
	}
}

// TestConflict_OpensOneDialog checks that a repeated conflict opens no second dialog.
func TestConflict_OpensOneDialog(t *testing.T) {
	s := newStage(t, nil)
	c := engine.Conflict{ID: s.self.ID, Name: s.self.Name, Addrs: []netip.AddrPort{netip.MustParseAddrPort("10.77.0.2:17717")}}
	s.apply([]engine.Event{c})
	first := s.dialogs.open
	if first == nil {
		t.Fatal("nothing is shown")
	}
	s.apply([]engine.Event{c})
	if s.dialogs.open != first {
		t.Error("it is shown again")
	}
}
