package wire

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"strconv"
)

// Frames of messages and pings in their usual form are written and read by handwritten code. encoding/json takes
// several times as long for them, most of it for reflection, and a round trip has four of these steps. Everything else,
// and any unusual form, is left to encoding/json; FuzzDecode checks that both give the same results.

// appender is a message that encodes itself.
type appender interface{ appendJSON(b []byte) []byte }

func (m Ping) appendJSON(b []byte) []byte { return appendNumbered(b, m.kind(), m.N) }
func (m Pong) appendJSON(b []byte) []byte { return appendNumbered(b, m.kind(), m.N) }

// appendJSON appends the body unchanged: it is JSON that Check has accepted.
func (m Text) appendJSON(b []byte) []byte {
	b = appendNumbered(b, m.kind(), m.N)
	b = b[:len(b)-1]
	b = appendText(b, "topic", m.Topic)
	b = appendCount(b, "ask", m.Ask)
	b = appendCount(b, "reply", m.Reply)
	b = appendText(b, "failed", m.Failed)
	if m.Body != nil {
		b = append(append(b, `,"body":`...), m.Body...)
	}
	if m.Data != nil {
		b = append(b, `,"data":"`...)
		b = base64.StdEncoding.AppendEncode(b, m.Data)
		b = append(b, '"')
	}
	return append(b, '}')
}

// appendText appends a string member, unless it is empty.
func appendText(b []byte, key, text string) []byte {
	if text == "" {
		return b
	}
	quoted, err := marshal(text)
	if err != nil { // a string always has a JSON form
		panic(err)
	}
	return append(append(append(append(b, `,"`...), key...), `":`...), quoted...)
}

// appendCount appends a member that is a number, unless it is 0.
func appendCount(b []byte, key string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(append(append(b, `,"`...), key...), `":`...), n, 10)
}

func (m TextAck) appendJSON(b []byte) []byte {
	b = appendNumbered(b, m.kind(), m.N)
	if m.Code == Bye {
		return b
	}
	b = append(b[:len(b)-1], `,"code":"`...) // names of codes need no escaping
	return append(append(b, m.Code.String()...), `"}`...)
}

func appendNumbered(b []byte, kind string, n uint64) []byte {
	b = append(append(append(b, `{"type":"`...), kind...), `","n":`...)
	return append(strconv.AppendUint(b, n, 10), '}')
}

// envelope is an upper bound of the bytes that a frame needs around the body of a message.
const envelope = 128

// hot decodes a message of the types below; false leaves it to encoding/json.
func (w *walker) hot(kind string) (Message, bool) {
	if w.overflow {
		return nil, false
	}
	n, ok := w.uint("n")
	if !ok {
		return nil, false
	}
	switch kind {
	case "ping":
		return Ping{n}, w.used == 2
	case "pong":
		return Pong{n}, w.used == 2
	case "message":
		body := w.member("body")
		if len(w.raw) > len(body)+len(body)/2+envelope { // guard: message-padded
			body = bytes.Clone(body) // otherwise the queued message would keep the surrounding white space in memory
		}
		return Text{N: n, Body: json.RawMessage(body)}, body != nil && w.used == 3
	case "message_ack":
		if w.used == 2 {
			return TextAck{N: n}, true
		}
		name, ok := plain(w.member("code"))
		ack := TextAck{N: n}
		_ = ack.Code.UnmarshalText([]byte(name)) // never fails
		return ack, ok && w.used == 3
	}
	return nil, false
}

// member returns the value of a key of the outermost object; nil if there is none.
func (w *walker) member(key string) []byte {
	for _, m := range w.top[:w.used] {
		if m.key == key {
			return m.raw
		}
	}
	return nil
}

func (w *walker) uint(key string) (uint64, bool) {
	raw := w.member(key)
	n, err := strconv.ParseUint(string(raw), 10, 64)
	return n, err == nil
}
