package engine_test

import (
	"errors"
	"strings"
	"testing"

	"multipeer/engine"
)

func repeat(s string, n int) string { return strings.Repeat(s, n) }

const family = "👨‍👩‍👧‍👦" // seven code points

// TestValidateName checks ValidateName against MCPeerID's rules, and against ours where we are stricter.
func TestValidateName(t *testing.T) {
	for _, name := range []string{
		"Peer", repeat("a", 63), repeat("\u00e9", 31), repeat("\u65e5", 21), family + family, "Zo\u00eb", "Zoe\u0308", "  Anna ",
	} {
		if err := engine.ValidateName(name); err != nil {
			t.Errorf("%q (%d bytes): %v", name, len(name), err)
		}
	}
	for _, name := range []string{
		"", repeat("a", 64), repeat("\u00e9", 32), repeat("\u65e5", 22), repeat(family, 3), // refused by MCPeerID too
		"   ", "\u200b", "Bob\nSmith", "Bob\u202egpj", "\xff", // only we refuse these
	} {
		if err := engine.ValidateName(name); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q (%d bytes): %v", name, len(name), err)
		}
	}
}

// TestValidateServiceType checks ValidateServiceType against Apple's rules (RFC 6335 section 5.1). The Pythonista
// module accepts the values in the last line.
func TestValidateServiceType(t *testing.T) {
	for _, s := range []string{"dev-srv", "chat-demo", "lightcycle", "speedtest", "a", "3d", "a1-b2", "abcdefghijklmno"} {
		if err := engine.ValidateServiceType(s); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{
		"", "abcdefghijklmnop", "Chat", "chat_demo", "my chat", "caf\u00e9", "\uff11a", "chat\n", "_chat._udp",
		"123", "-chat", "chat-", "-", "my--chat", "my.chat", ".",
	} {
		if err := engine.ValidateServiceType(s); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestValidateInfo checks ValidateInfo against MCNearbyServiceAdvertiser's rules and RFC 6763 section 6.
func TestValidateInfo(t *testing.T) {
	big := func(n int) map[string]string {
		info := map[string]string{}
		for i := range n {
			info[string(rune('a'+i))] = repeat("v", 253)
		}
		return info
	}
	for _, info := range []map[string]string{
		nil,
		{},
		{"room": "kitchen"},
		{"a": ""},
		{"k": repeat("v", 253)},
		{"k": repeat("\u00e9", 126)},
		{"a": "b=c"},
		big(3),
	} {
		if err := engine.ValidateInfo(info); err != nil {
			t.Errorf("%v: %v", info, err)
		}
	}
	for _, info := range []map[string]string{
		{"k": repeat("v", 254)},
		{"k": repeat("\u00e9", 127)},
		{"a=b": "c"},
		{"": "x"},
		{"\u00e4": "x"},
		{"Room": "x", "room": "y"},
		{"_v": "1"},
		big(5),
		{"k": "\xff"},
		{"a\n": "x"},
	} {
		if err := engine.ValidateInfo(info); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("%v: %v", info, err)
		}
		if _, err := engine.New(engine.Config{Info: info}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("New with %v: %v", info, err)
		}
	}
}

// TestEngine_RefusesValuesOutOfRange checks that values out of range are refused where they are passed, with the limit
// in the error.
func TestEngine_RefusesValuesOutOfRange(t *testing.T) {
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if _, err := e.Send(t.Context(), repeat("x", engine.MaxMessage), e.Self().ID); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1048576") {
		t.Errorf("message: %v", err)
	}
	if _, err := e.SendDatagram(repeat("x", engine.MaxDatagram), e.Self().ID); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "1100") {
		t.Errorf("datagram: %v", err)
	}
	if _, err := engine.New(engine.Config{Context: repeat("x", engine.MaxContext)}); !errors.Is(err, engine.ErrTooLarge) || !strings.Contains(err.Error(), "16384") {
		t.Errorf("context: %v", err)
	}
	if err := e.InviteWith(t.Context(), e.Self().ID, engine.InviteOptions{Context: make(chan int)}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("context that is no JSON: %v", err)
	}
	if _, err := e.Send(t.Context(), func() {}, engine.Broadcast); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("message that is no JSON: %v", err)
	}
	for _, name := range []string{"", repeat("n", engine.MaxStreamName+1), "a\nb", "\xff"} {
		if _, err := e.OpenStream(t.Context(), e.Self().ID, name); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("stream %q: %v", name, err)
		}
	}
	if _, err := engine.New(engine.Config{MaxPeers: -1}); !errors.Is(err, engine.ErrInvalid) {
		t.Errorf("MaxPeers: %v", err)
	}
}
