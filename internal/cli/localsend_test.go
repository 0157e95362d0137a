package cli

import (
	"context"
	"strings"
	"testing"

	"multipeer/engine"
	"multipeer/internal/doctor"
)

func TestDoctor_SaysWhatItFoundOfLocalSend(t *testing.T) {
	for _, c := range []struct {
		f            doctor.Finding
		what, remedy string
	}{
		{doctor.Finding{Name: doctor.LocalSend}, "No device with LocalSend", "keep it in the foreground"},
		{doctor.Finding{Name: doctor.LocalSend, N: 2}, "2 devices with LocalSend", ""},
		{doctor.Finding{Name: doctor.LocalSend, Detail: "4711"}, "uses 4711", "multicast only"},
	} {
		if what, remedy := findingText(c.f); !strings.Contains(what, c.what) || !strings.Contains(remedy, c.remedy) || c.remedy == "" && remedy != "" {
			t.Errorf("%+v: %q, %q", c.f, what, remedy)
		}
	}
}

func TestLocalSendAddress_DefaultPort(t *testing.T) {
	for text, want := range map[string]string{"127.0.0.1": "127.0.0.1:53317", "127.0.0.1:99": "127.0.0.1:99", "[::1]:99": "[::1]:99", "::1": "[::1]:53317"} {
		got, err := localSendAddress(context.Background(), text)
		if err != nil || got.String() != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
	}
	if _, err := localSendAddress(context.Background(), "127.0.0.1:x y"); err == nil {
		t.Error("a port of words is accepted")
	}
}

// TestDescribe_SaysWhatADeviceHasNotProven checks that a question about a device without Multipeer shows how it is reached.
func TestDescribe_SaysWhatADeviceHasNotProven(t *testing.T) {
	phone := engine.Peer{ID: engine.PeerID{1}, Name: "Phone", Via: "LocalSend", Plain: true}
	id := phone.ID.Short()
	if got, want := describe(phone), "Phone ("+id+", LocalSend, not encrypted)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	phone.Plain = false
	if got, want := describe(phone), "Phone ("+id+", LocalSend, not verified)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
