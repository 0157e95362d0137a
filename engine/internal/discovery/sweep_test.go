package discovery

import (
	"encoding/binary"
	"testing"
)

func TestOnlyAnswersToOurPacketCount(t *testing.T) {
	packet, ours := versionProbe()
	if len(packet) != initialSize {
		t.Errorf("%d bytes", len(packet))
	}
	good := append([]byte{0x80}, 0, 0, 0, 0, byte(len(ours)))
	good = append(good, ours...)
	if !isNegotiation(good, ours) {
		t.Error("a good answer is refused")
	}
	for i := range 6 + len(ours) {
		bad := append([]byte(nil), good...)
		bad[i] ^= 0x81
		if isNegotiation(bad, ours) {
			t.Errorf("byte %d may be anything", i)
		}
		if isNegotiation(good[:i], ours) {
			t.Errorf("%d bytes are enough", i)
		}
	}
	if isNegotiation(packet, ours) || binary.BigEndian.Uint32(packet[1:]) != noVersion {
		t.Error("the probe answers itself")
	}
}

func FuzzIsNegotiation(f *testing.F) {
	_, ours := versionProbe()
	f.Add([]byte{0x80, 0, 0, 0, 0, 16})
	f.Fuzz(func(t *testing.T, b []byte) {
		if isNegotiation(b, ours) {
			t.Error("a guess was right")
		}
	})
}
