package peers

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"multipeer/engine/internal/wire"
)

func TestDatagram_ComesBackAsItWasSent(t *testing.T) {
	for _, msg := range []wire.Text{
		{Body: []byte(`{"x":1}`)},
		{Topic: "chess", Body: []byte(`1`)},
		{Topic: strings.Repeat("é", wire.MaxTopic/2), Data: bytes.Repeat([]byte{0}, MaxDatagram)},
		{Data: []byte{}},
	} {
		got, ok := parseDatagram(datagramOf(msg))
		if !ok || !reflect.DeepEqual(got, msg) {
			t.Errorf("%+v became %+v, %v", msg, got, ok)
		}
	}
}

func TestDatagram_OddOnesAreDropped(t *testing.T) {
	for name, b := range map[string][]byte{
		"no form":                {datagramTopic},
		"no length of the topic": {datagramTopic, formBytes},
		"a topic cut short":      {datagramTopic, formBytes, 5, 'a'},
		"a topic of two lines":   {datagramTopic, formBytes, 3, 'a', '\n', 'b', 1},
		"a topic too long":       append([]byte{datagramTopic, formBytes, 255}, bytes.Repeat([]byte{'a'}, 300)...),
		"an unknown form":        {datagramTopic, 7, 1, 'a', 1},
		"no JSON":                {datagramTopic, formJSON, 1, 'a'},
		"malformed JSON":         {datagramMessage, '{'},
		"too many bytes":         append([]byte{datagramTopic, formBytes, 0}, make([]byte, MaxDatagram+1)...),
		"too much JSON":          append([]byte{datagramMessage}, `"`+strings.Repeat("x", MaxDatagram)+`"`...),
	} {
		if msg, ok := parseDatagram(b); ok {
			t.Errorf("%s is taken as %+v", name, msg)
		}
	}
}

func FuzzDatagram(f *testing.F) {
	f.Add([]byte{datagramTopic, formBytes, 1, 'a', 0})
	f.Add([]byte{datagramMessage, '1'})
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 2 || b[0] != datagramTopic && b[0] != datagramMessage {
			return
		}
		msg, ok := parseDatagram(b)
		if !ok {
			return
		}
		if again, ok := parseDatagram(datagramOf(msg)); !ok || !reflect.DeepEqual(again, msg) {
			t.Errorf("%q became %+v and then %+v", b, msg, again)
		}
	})
}
