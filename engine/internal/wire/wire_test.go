package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// blocks returns the fenced blocks of PROTOCOL.md with the given info string.
func blocks(t testing.TB, info string) []string {
	t.Helper()
	b, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, m := range regexp.MustCompile("(?ms)^```"+info+"\n(.*?)^```").FindAllSubmatch(b, -1) {
		joined := strings.ReplaceAll(string(m[1]), "\n  ", "") // a line that is indented continues the one before
		out = append(out, strings.Split(strings.TrimSpace(joined), "\n")...)
	}
	return out
}

func TestMessage_ExamplesOfTheProtocol(t *testing.T) {
	seen := map[string]bool{}
	for _, line := range blocks(t, "json") {
		m, err := Decode([]byte(line))
		if err != nil || m == nil {
			t.Errorf("%s: %v, %v", line, m, err)
			continue
		}
		seen[m.kind()] = true
		again, err := Encode(m)
		if err != nil {
			t.Fatal(err)
		}
		var want, got any
		_ = json.Unmarshal([]byte(line), &want)
		_ = json.Unmarshal(again, &got)
		if !reflect.DeepEqual(want, got) {
			t.Errorf("%s became %s", line, again)
		}
	}
	for _, kind := range Types() {
		if !seen[kind] {
			t.Errorf("PROTOCOL.md has no example of %q", kind)
		}
	}
	for _, line := range blocks(t, "json refused") {
		if m, err := Decode([]byte(line)); err == nil {
			t.Errorf("%s was taken as %v", line, m)
		}
	}
	for _, line := range blocks(t, "json skipped") {
		if m, err := Decode([]byte(line)); m != nil || err != nil {
			t.Errorf("%s: %v, %v", line, m, err)
		}
	}
}

func TestCode_TableOfTheProtocol(t *testing.T) {
	b, err := os.ReadFile("../../PROTOCOL.md")
	if err != nil {
		t.Fatal(err)
	}
	var table []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| ([a-z-]+) \|$`).FindAllSubmatch(b, -1) {
		table = append(table, string(m[1])+" "+string(m[2]))
	}
	var ours []string
	for _, c := range Codes() {
		ours = append(ours, fmt.Sprintf("%d %s", uint64(c), c))
		text, _ := c.MarshalText()
		var back Code
		if err := back.UnmarshalText(text); err != nil || back != c {
			t.Errorf("%v reads back as %v", c, back)
		}
		if CodeOf(fmt.Errorf("wrapped: %w", c.Err())) != c {
			t.Errorf("the error of %v has code %v", c, CodeOf(c.Err()))
		}
	}
	if !slices.Equal(table, ours) {
		t.Errorf("PROTOCOL.md has %q, the code %q", table, ours)
	}
	if !errors.Is(Code(999).Err(), ErrFailed) {
		t.Error("an unknown code is not a failure")
	}
}

func TestCheck_AcceptsOnlyStrictJSON(t *testing.T) {
	for _, bad := range []string{
		"{\"a\":\"\xff\"}", `{"a":1,"a":1}`, `{"a":{"b":1,"B":2}}`, `{"a":"\udc00"}`, `{"a":"\ud800\u0041"}`, `{"a":1} x`, `{"a":1`, `{"a"}`, ``,
		strings.Repeat("[", 40) + strings.Repeat("]", 40), "[" + strings.Repeat("1,", 200_001) + "1]",
		`1e400`, `{"a":[-1e309]}`, "9" + strings.Repeat("0", 400),
	} {
		if err := Check([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60q: %v", bad, err)
		}
	}
	for _, good := range []string{`{"a":"\ud83d\ude00"}`, `{"a":"\\ud800"}`, `null`, `[{"a":1},{"a":2}]`, `1e3`, `1e-400`, `1.7e308`, "1" + strings.Repeat("0", 300), `"é"`} {
		if err := Check([]byte(good)); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
}

func TestFrame_SizeIsLimited(t *testing.T) {
	frame, err := Frame(Ping{N: 1})
	if err != nil {
		t.Fatal(err)
	}
	body, err := ReadFrame(bytes.NewReader(frame), MaxControl)
	if err != nil || string(body) != `{"type":"ping","n":1}` {
		t.Fatalf("%s, %v", body, err)
	}
	if _, err := ReadFrame(bytes.NewReader(frame), len(body)-1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("over the limit: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader("\xff\xff\xff\xff"), MaxFrame); !errors.Is(err, ErrTooLarge) {
		t.Errorf("four gigabytes announced: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader("\x00\x00\x00\x00"), MaxFrame); err == nil {
		t.Error("an empty frame was accepted")
	}
	if _, err := ReadFrame(bytes.NewReader(frame[:len(frame)-1]), MaxFrame); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut inside: %v", err)
	}
	if _, err := ReadFrame(strings.NewReader(""), MaxFrame); err != io.EOF {
		t.Errorf("cut between: %v", err)
	}
	if _, err := Frame(Text{N: 1, Body: json.RawMessage(`"` + strings.Repeat("x", MaxFrame) + `"`)}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large to send: %v", err)
	}
	long := `{"type":"info","name":"` + strings.Repeat("x", MaxControl) + `"}`
	if _, err := Decode([]byte(long)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a control message of 64 KiB: %v", err)
	}
}

// TestValidate_NamesAndServiceTypes uses the vectors of MCPeerID and of the Pythonista module, and names that only our
// own rules reject.
func TestValidate_NamesAndServiceTypes(t *testing.T) {
	emoji := "👩‍👩‍👧‍👦"
	for _, good := range []string{"Peer", strings.Repeat("a", 63), strings.Repeat("é", 31), strings.Repeat("日", 21), strings.Repeat(emoji, 2), "Zoë", "Zoe\u0308", "  Anna "} {
		if err := ValidateName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", strings.Repeat("a", 64), strings.Repeat("é", 32), strings.Repeat("日", 22), strings.Repeat(emoji, 3), "   ", "\u200b", "Bob\nSmith", "Bob\u202egpj", "\xff"} {
		if err := ValidateName(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	for _, good := range []string{"dev-srv", "chat-demo", "lightcycle", "speedtest", "a", "3d", "a1-b2", "abcdefghijklmno"} {
		if err := ValidateServiceType(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "abcdefghijklmnop", "Chat", "chat_demo", "my chat", "café", "１a", "chat\n", "_chat._udp", "123", "-chat", "chat-", "-", "my--chat", "my.chat", "."} {
		if err := ValidateServiceType(bad); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestClean_MakesPeerTextHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"Anna":                             "Anna",
		"":                                 "unnamed",
		"\u3164":                           "unnamed",
		"Bob\u202egpj":                     "Bob‹U+202E›gpj",
		"a\x1b[31mb\x07":                   "a‹U+001B›[31mb‹U+0007›",
		"line\nbreak":                      "line‹U+000A›break",
		"Z" + strings.Repeat("\u0301", 50): "Z\u0301\u0301\u0301",
		strings.Repeat("x", 60):            strings.Repeat("x", 40) + "…",
		"👩‍👩‍👧":                            "👩‍👩‍👧",
	} {
		if got := CleanName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
	if got := CleanText("a\nb\tc\x1b"); got != "a\nb\tc‹U+001B›" {
		t.Errorf("text became %q", got)
	}
}

func FuzzDecode(f *testing.F) {
	for _, info := range []string{"json", "json refused", "json skipped"} {
		for _, line := range blocks(f, info) {
			f.Add([]byte(line))
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := Decode(raw)
		var w walker
		if w.scan(raw) == nil {
			if name, _ := plain(w.kind); decoders[name] != nil && raw[0] == '{' && len(raw) <= MaxControl {
				if slow, slowErr := decoders[name](raw); !reflect.DeepEqual(slow, m) || (err == nil) != (slowErr == nil) {
					t.Fatalf("%s: %v %v by hand, %v %v by encoding/json", raw, m, err, slow, slowErr)
				}
			}
		}
		if err != nil || m == nil {
			return
		}
		again, err := Encode(m)
		if err != nil {
			t.Fatalf("%s was accepted and cannot be written: %v", raw, err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%s became %s: %v", raw, again, err)
		}
		if third, err := Encode(back); err != nil || !bytes.Equal(third, again) {
			t.Errorf("%s became %s and then %s: %v", raw, again, third, err)
		}
	})
}

// FuzzCheck compares the scanner with encoding/json: what it accepts is valid JSON, with the same "type" and no
// duplicate keys.
func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		`{"type":"x","a":{"type":"y"}}`, `{"\u0074ype":"x"}`, `{"type":"x","tYpe":"y"}`, `[1,{"a":[true,null,"\\\""]},-1.5e3]`, ` {"a" : 1 , "b":2}`,
		`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"i":1,"I":1}`, `{"k":1,"K":2}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var w walker
		if w.scan(raw) != nil {
			return
		}
		kind := w.kind
		var v any
		if err := json.Unmarshal(raw, &v); err != nil {
			t.Fatalf("%q was accepted: %v", raw, err)
		}
		if twice := twice(json.NewDecoder(bytes.NewReader(raw))); twice {
			t.Fatalf("%q has a key twice", raw)
		}
		m, _ := v.(map[string]any)
		want, has := m["type"]
		var got any
		if kind != nil {
			if err := json.Unmarshal(kind, &got); err != nil {
				t.Fatalf("%q: type is %q", raw, kind)
			}
		}
		if has != (kind != nil) || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: type %v, want %v", raw, got, want)
		}
	})
}

// twice reports whether an object in the value has two keys that encoding/json treats as the same.
func twice(dec *json.Decoder) bool {
	tok, err := dec.Token()
	open, ok := tok.(json.Delim)
	if err != nil || !ok {
		return false
	}
	var keys []string
	for dec.More() {
		if open == '{' {
			k, _ := dec.Token()
			for _, old := range keys {
				if strings.EqualFold(old, k.(string)) {
					return true
				}
			}
			keys = append(keys, k.(string))
		}
		if twice(dec) {
			return true
		}
	}
	_, _ = dec.Token()
	return false
}

func FuzzReadFrame(f *testing.F) {
	frame, _ := Frame(Ping{N: 1})
	f.Add(frame)
	f.Add([]byte("\x00\x10\x00\x00"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		b, err := ReadFrame(bytes.NewReader(stream), MaxHello)
		if err == nil && (len(b) == 0 || len(b) > MaxHello || len(b) > len(stream)-4) {
			t.Errorf("%d bytes of a stream of %d", len(b), len(stream))
		}
	})
}

func FuzzCleanName(f *testing.F) {
	f.Add("Bob\u202egpj")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range CleanName(s) {
			if BreaksText(r) {
				t.Errorf("%q keeps %U", s, r)
			}
		}
	})
}

func TestMessage_OddOnesAreRefused(t *testing.T) {
	large := strings.Repeat("A", (MaxMessage+3)/3*4)
	for name, raw := range map[string]string{
		"no contents":             `{"type":"message","n":1}`,
		"JSON and bytes":          `{"type":"message","n":1,"body":1,"data":"AQ=="}`,
		"JSON and a reason":       `{"type":"message","n":1,"reply":1,"body":1,"failed":"x"}`,
		"line breaks in bytes":    `{"type":"message","n":1,"data":"AQ==\n\n"}`,
		"a carriage return":       `{"type":"message","n":1,"data":"AQ\r=="}`,
		"bytes that are null":     `{"type":"message","n":1,"data":null}`,
		"a topic of two lines":    `{"type":"message","n":1,"topic":"a\nb","body":1}`,
		"a topic too long":        `{"type":"message","n":1,"topic":"` + strings.Repeat("x", MaxTopic+1) + `","body":1}`,
		"too many bytes":          `{"type":"message","n":1,"data":"` + large + `"}`,
		"too much JSON":           `{"type":"message","n":1,"body":"` + large[:MaxMessage] + `"}`,
		"a request and an answer": `{"type":"message","n":1,"ask":1,"reply":2,"body":1}`,
		"a reason of no request":  `{"type":"message","n":1,"failed":"x"}`,
		"a reason too long":       `{"type":"message","n":1,"reply":1,"failed":"` + strings.Repeat("x", MaxFailed+1) + `"}`,
	} {
		if m, err := Decode([]byte(raw)); err == nil {
			t.Errorf("%s is taken as %.100v", name, m)
		}
	}
}
