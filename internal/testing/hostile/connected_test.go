//go:build linux

package hostile

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/quic-go/quic-go"

	"multipeer/internal/testing/load"
)

// stillOpen counts connections that are not closed.
func stillOpen(conns []*quic.Conn) (n int) {
	for _, c := range conns {
		if c.Context().Err() == nil {
			n++
		}
	}
	return n
}

// talking holds the attacks on a greeted connection, or with a session.
var talking = []attack{
	{session, "a second hello", "protocol", func(a *attacker) error { return foul(okHello, protocol, a.hello())(a) }},
	{session, "2,000 frames of future types", "skipped", ignored((*attacker).connect, many(2000, `{"type":"something_newer","x":[1]}`)...)},
	{session, "invalid JSON", "protocol", foul((*attacker).connect, protocol, `{"type":"ping","n":`)},
	{session, "a frame over the limit", "too-large", raw((*attacker).connect, tooLarge, []byte{0x7f, 0, 0, 0})},
	{session, "a control frame of 100 KB", "too-large", foul((*attacker).connect, tooLarge, `{"type":"info","name":"x","y":"`+strings.Repeat("y", 100_000)+`"}`)},
	{session, "nesting 10,000 deep", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":`+strings.Repeat("[", 10_000)+strings.Repeat("]", 10_000)+`}`)},
	{session, "half a million tokens", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":[`+strings.Repeat("1,", 400_000)+`1]}`)},
	{session, "10,000 duplicate keys", "protocol", foul((*attacker).connect, protocol, `{"type":"message","n":1,"body":{`+keys(10_000)+keys(1)+`"z":1}}`)},
	{session, "a number out of range", "protocol", foul((*attacker).connect, protocol, `{"type":"ping","n":1e400}`)},
	{session, "a message without a number", "protocol", foul((*attacker).connect, protocol, `{"type":"message","body":1}`)},
	{session, "a message twice", "delivered once", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(func(*attacker) error { return nil }, many(50, `{"type":"message","n":5,"body":"again"}`)...)(a); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages-old.Messages != 1 {
			err = fmt.Errorf("handed over %d times", s.Messages-old.Messages)
		}
		return err
	}},
	{session, "a number 2^63 ahead, and back", "served", ignored((*attacker).connect, `{"type":"message","n":9223372036854775808,"body":1}`, `{"type":"message","n":2,"body":1}`)},
	{session, "answers to unknown messages", "ignored", ignored((*attacker).connect,
		`{"type":"message_ack","n":99}`, `{"type":"pong","n":99}`, `{"type":"invite_answer","id":"00112233445566778899aabbccddeeff","accept":true}`,
		`{"type":"offer_answer","id":"00112233445566778899aabbccddeeff","accept":true,"attempt":1}`, `{"type":"offer_cancel","id":"00112233445566778899aabbccddeeff"}`,
		`{"type":"offer_pause","id":"00112233445566778899aabbccddeeff"}`, `{"type":"lanes","id":"00112233445566778899aabbccddeeff","attempt":1,"quic":8}`,
		`{"type":"offer_update","id":"00112233445566778899aabbccddeeff","files":1,"folders":1,"bytes":1}`)},
	{session, "an unsolicited acceptance from a stranger", "no session", func(a *attacker) error {
		a.name = "stranger"
		if err := ignored(okHello, `{"type":"invite_answer","id":"00112233445566778899aabbccddeeff","accept":true}`)(a); err != nil {
			return err
		}
		return a.noSession()
	}},
	{session, "a hello that claims a session", "no session", func(a *attacker) error {
		a.name = "stranger"
		if err := a.dial(); err != nil {
			return err
		}
		if err := a.say(strings.Replace(a.hello(), `{`, `{"session":true,`, 1)); err != nil {
			return err
		}
		if _, err := a.hear("hello_ack"); err != nil {
			return err
		}
		return a.noSession()
	}},
	{session, "messages, datagrams and streams of a stranger", "none is delivered", func(a *attacker) error {
		a.name = "stranger"
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(okHello, `{"type":"message","n":1,"body":"hi"}`)(a); err != nil {
			return err
		}
		_ = a.conn.SendDatagram([]byte("\x03{}"))
		if s, err := a.conn.OpenStream(); err == nil {
			_ = write(s, `{"type":"stream","name":"x"}`)
		}
		time.Sleep(300 * time.Millisecond)
		s, err := a.v.ask("")
		if err == nil && (s.Messages != old.Messages || s.Streams != old.Streams) {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "a flood of invitations of a stranger", "one question", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(1, func() error {
			return flood(okHello, func(a *attacker, _ int) error { return a.say(fmt.Sprintf(`{"type":"invite","id":%q}`, hexID())) })(a)
		})
	}},
	{session, "invitations and withdrawals of a stranger in turn", "20 questions, and one in 2 s", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(21, func() error {
			return flood(okHello, func(a *attacker, _ int) error {
				id := hexID()
				return a.say(fmt.Sprintf(`{"type":"invite","id":%q}`, id), fmt.Sprintf(`{"type":"invite_cancel","id":%q}`, id))
			})(a)
		})
	}},
	{session, "a context of 60 KB", "too-large", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		if err := a.say(`{"type":"invite","id":"00112233445566778899aabbccddeeff","context":"` + strings.Repeat("c", 60_000) + `"}`); err != nil {
			return err
		}
		m, err := a.hear("invite_answer")
		if err == nil && m["code"] != "too-large" {
			err = fmt.Errorf("answered %v", m)
		}
		return err
	}},
	{session, "1,000 offers of a stranger", "two questions", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(2, func() error {
			if err := a.greet(); err != nil {
				return err
			}
			for range 1000 {
				if a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`, hexID())) != nil {
					break
				}
			}
			return nil
		})
	}},
	{session, "an offer without names", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":[],"items":0,"files":0,"folders":0,"bytes":0,"attempt":1}`)},
	{session, "an offer that names one of 102", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["holiday.jpg"],"items":102,"files":2,"folders":0,"bytes":20,"attempt":1}`)},
	{session, "a file alone that is still counted", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["note.txt"],"items":1,"files":1,"folders":0,"bytes":20,"counting":true,"attempt":1}`)},
	{session, "an end with a path of 5,000 bytes", "protocol", foul((*attacker).connect, protocol, `{"type":"offer_cancel","id":"00112233445566778899aabbccddeeff","code":"failed","reason":5,"path":"`+strings.Repeat("x", 5000)+`"}`)},
	{session, "an end with a reason of 300", "protocol", foul((*attacker).connect, protocol, `{"type":"offer_cancel","id":"00112233445566778899aabbccddeeff","code":"failed","reason":300}`)},
	{session, "an offer with negative totals", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["x"],"items":1,"files":-1,"folders":0,"bytes":-1,"attempt":1}`)},
	{session, "an offer with a name of 2,000 bytes", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["`+strings.Repeat("x", 2000)+`"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`)},
	{session, "an offer with a preview of 12,289 bytes", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1,"preview":"`+base64.StdEncoding.EncodeToString(make([]byte, 12289))+`"}`)},
	{session, "an offer with a note of 1,001 bytes", "protocol", foul((*attacker).connect, protocol, `{"type":"offer","id":"00112233445566778899aabbccddeeff","names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1,"note":"`+strings.Repeat("x", 1001)+`"}`)},
	{session, "a flood of pings", "read at the rate limit", flood((*attacker).connect, func(a *attacker, i int) error { return a.say(many(100, `{"type":"ping","n":1}`)...) })},
	{session, "a flood of pings of a stranger", "50 a second are read, 200 at once", func(a *attacker) error {
		if err := a.greet(); err != nil {
			return err
		}
		pongs := make(chan int)
		go func() {
			n := 0
			for {
				if _, err := readFrame(a.ctl, 300*time.Millisecond); err != nil {
					pongs <- n
					return
				}
				n++
			}
		}()
		began := time.Now()
		var err error
		for time.Since(began) < floodTime && err == nil { // few enough that their answers can be read
			_ = a.ctl.SetWriteDeadline(time.Now().Add(floodTime))
			err = write(a.ctl, many(10, `{"type":"ping","n":1}`)...)
			time.Sleep(5 * time.Millisecond)
		}
		_ = a.conn.CloseWithError(0, "")
		if n := <-pongs; n > 200+int(time.Since(began)/time.Second+1)*50 {
			return fmt.Errorf("%d were answered", n)
		}
		return nil
	}},
	{session, "a flood of messages whose answers are not read", "the conn ends", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"message","n":%d,"body":"%s"}`, i+1, strings.Repeat("m", 1000)))
	})},
	{session, "a flood of messages of 1 MB", "read at the rate limit", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"message","n":%d,"body":"%s"}`, i+1, strings.Repeat("m", 1<<20-100)))
	})},
	{session, "a flood of names", "the newest counts", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.say(fmt.Sprintf(`{"type":"info","name":"friend %d"}`, i))
	})},
	{session, "a name that turns the reading direction", "shown escaped", func(a *attacker) error {
		a.name = "friend \u202Efdp.exe"
		if err := a.connect(); err != nil {
			return err
		}
		s, err := a.v.ask("")
		for _, n := range s.Names {
			if strings.ContainsAny(n, "\u202e\n\x1b") {
				err = fmt.Errorf("shown as %q", n)
			}
		}
		return err
	}},
	{session, "a name of escape sequences and line breaks", "shown escaped", func(a *attacker) error {
		a.name = "friend \x1b[2J\n\u2028"
		if err := a.dial(); err != nil {
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"hello","v":1,"id":%q,"name":"friend \u001b[2J\n\u2028","boot":"0123456789"}`, a.id)); err != nil {
			return err
		}
		if _, err := a.hear("hello_ack"); err != nil {
			return err
		}
		s, err := a.v.ask("")
		for _, n := range s.Names {
			if strings.ContainsAny(n, "\u2028\n\x1b") {
				err = fmt.Errorf("shown as %q", n)
			}
		}
		return err
	}},
	{session, "a flood of datagrams", "dropped above the rate limit", flood((*attacker).connect, func(a *attacker, i int) error {
		return a.conn.SendDatagram([]byte("\x03{\"x\":1}"))
	})},
	{session, "malformed datagrams", "dropped", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		for _, d := range [][]byte{{}, {0}, {3}, []byte("\x03{"), []byte("\x03{\"a\":1,\"a\":1}"), []byte("\x03\xff"), append([]byte{3}, bytes.Repeat([]byte("["), 1000)...), {1, 2}, {9, 9, 9}} {
			_ = a.conn.SendDatagram(d)
		}
		if err := a.alive(); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages != old.Messages {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "streams that are opened and dropped without end", "served at the rate limit", flood((*attacker).connect, func(a *attacker, i int) error {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		s, err := a.conn.OpenStreamSync(ctx)
		if err != nil {
			return nil
		}
		_ = write(s, `{"type":"stream","name":"x"}`)
		s.CancelRead(70000)
		s.CancelWrite(70000)
		return nil
	})},
	{session, "40 streams without a header", "reset after 5 s; messages pass", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 60 {
			if s, err := a.conn.OpenStream(); err == nil {
				_, _ = s.Write([]byte{0})
			}
		}
		return a.alive()
	}},
	{session, "credit exhaustion: echoes that are not read", "what the peer does not read blocks itself; others are served", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		for range 6 {
			s, err := a.conn.OpenStream()
			if err != nil {
				return err
			}
			_ = write(s, `{"type":"echo"}`)
			_ = s.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
			_, _ = s.Write(make([]byte, 8<<20))
		}
		return nil
	}},
	{session, "a stream with a name of 5,000 bytes", "reset", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		s, err := a.conn.OpenStream()
		if err != nil {
			return err
		}
		_ = write(s, `{"type":"stream","name":"`+strings.Repeat("x", 5000)+`"}`)
		_ = s.SetReadDeadline(time.Now().Add(5 * time.Second))
		if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("not reset: %v", err)
		}
		return a.alive()
	}},
	{session, "a session that ends again and again", "protocol", foul((*attacker).connect, protocol, `{"type":"renew","n":1}`, `{"type":"renew","n":2}`)},
	{session, "a message after leave", "not delivered, not answered", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		old, err := a.v.ask("")
		if err != nil {
			return err
		}
		if err := ignored(func(*attacker) error { return nil }, `{"type":"leave"}`, `{"type":"message","n":1,"body":1}`)(a); err != nil {
			return err
		}
		s, err := a.v.ask("")
		if err == nil && s.Messages != old.Messages {
			err = errors.New("handed over")
		}
		return err
	}},
	{session, "the control stream is reset", "the conn ends", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		a.ctl.CancelWrite(1)
		_, err := closed(a.conn, 8*time.Second)
		return err
	}},
	{session, "half a frame, then nothing", "others are served; the session waits", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		_, err := a.ctl.Write([]byte{0, 0, 1, 0, '{'})
		return err
	}},
	{session, "pairing while the window is closed, 200 times", "no question", func(a *attacker) error {
		return a.prompts(0, func() error {
			if err := a.connect(); err != nil {
				return err
			}
			for range 200 {
				if err := a.say(fmt.Sprintf(`{"type":"pair_start","id":%q,"commit":%q}`, hexID(), hexID()+hexID())); err != nil {
					return err
				}
			}
			return a.alive()
		})
	}},
	{session, "pairing out of order: confirm, reveal and nonce without a start", "ignored", ignored((*attacker).connect,
		fmt.Sprintf(`{"type":"pair_confirm","id":%q,"proof":%q}`, hexID(), hexID()+hexID()), fmt.Sprintf(`{"type":"pair_reveal","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()),
		fmt.Sprintf(`{"type":"pair_nonce","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()))},
	{session, "a nonce of 33 bytes", "protocol", foul((*attacker).connect, protocol, fmt.Sprintf(`{"type":"pair_nonce","id":%q,"nonce":%q}`, hexID(), hexID()+hexID()+"00"))},
	{session, "guesses at a link's secret while the window is open", "each is refused, and the window stays", func(a *attacker) error {
		if _, err := a.v.ask("pair"); err != nil {
			return err
		}
		if err := a.connect(); err != nil {
			return err
		}
		codes := map[any]int{}
		for range 10 {
			if err := a.say(fmt.Sprintf(`{"type":"pair_link","id":%q,"proof":%q}`, hexID(), hexID()+hexID())); err != nil {
				return err
			}
			m, err := a.hear("pair_cancel")
			if err != nil {
				return err
			}
			codes[m["code"]]++
		}
		if codes["declined"] != 10 {
			return fmt.Errorf("answers: %v", codes)
		}
		_, err := a.v.ask("close")
		return err
	}},
	{session, "150 greeted conns of strangers that stay", "64 of one address", func(a *attacker) error {
		var all []*attacker
		defer func() {
			for _, b := range all {
				b.close()
			}
		}()
		for range 150 {
			b := a.v.attacker("stranger")
			all = append(all, b)
			_ = b.greet()
		}
		time.Sleep(500 * time.Millisecond)
		open := 0
		for _, b := range all {
			if b.conn != nil && b.conn.Context().Err() == nil {
				open++
			}
		}
		if open > 64 {
			return fmt.Errorf("%d are open", open)
		}
		return nil
	}},
	{session, "offers and withdrawals of a stranger in turn", "at most 22 questions", func(a *attacker) error {
		a.name = "stranger"
		return a.prompts(22, func() error {
			if err := a.greet(); err != nil {
				return err
			}
			for range 60 {
				id := hexID()
				if err := a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":["x"],"items":1,"files":1,"folders":0,"bytes":1,"attempt":1}`, id), fmt.Sprintf(`{"type":"offer_cancel","id":%q}`, id)); err != nil {
					return err
				}
			}
			return a.alive()
		})
	}},
	{session, "pairing and withdrawals of a stranger in turn, while the window is open", "at most 22 questions", func(a *attacker) error {
		a.name = "stranger"
		return a.pairAndWithdraw()
	}},
	{session, "pairing and withdrawals of a verified peer in turn, while the window is open", "at most 22 questions", func(a *attacker) error {
		a.name = "acquaintance"
		if _, err := a.v.ask("verify " + a.id); err != nil {
			return err
		}
		return a.pairAndWithdraw()
	}},
	{session, "datagram pings of a stranger", "20 a second are answered", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), floodTime)
		defer cancel()
		answers := make(chan int, 1)
		go func() {
			n := 0
			for {
				if _, err := a.conn.ReceiveDatagram(ctx); err != nil {
					answers <- n
					return
				}
				n++
			}
		}()
		for range 500 {
			_ = a.conn.SendDatagram([]byte{1, 0, 0, 0, 0, 0, 0, 0, 1})
			time.Sleep(time.Millisecond)
		}
		if n := <-answers; n > 80 {
			return fmt.Errorf("%d of 500 were answered", n)
		}
		return nil
	}},
	{session, "20 silent streams of a stranger", "8 wait, others are refused as busy; after 5 s the connection is closed", func(a *attacker) error {
		a.name = "stranger"
		if err := a.greet(); err != nil {
			return err
		}
		refused := 0
		var streams []*quic.Stream
		for range 20 {
			s, err := a.conn.OpenStream()
			if err != nil {
				return err
			}
			_, _ = s.Write([]byte{0})
			streams = append(streams, s)
		}
		for _, s := range streams {
			_ = s.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			var reset *quic.StreamError
			if _, err := s.Read(make([]byte, 1)); errors.As(err, &reset) && reset.ErrorCode == busy {
				refused++
			}
		}
		if refused < 8 {
			return fmt.Errorf("%d of 20 were refused", refused)
		}
		_, err := closed(a.conn, 8*time.Second)
		return err
	}},
	{session, "a pairing that reveals another nonce than it has committed to", "protocol; no one is verified", func(a *attacker) error {
		_, err := a.pairing(random(32))
		if err != nil {
			return err
		}
		return wants(a.conn, protocol)
	}},
	{session, "a pairing whose confirmation is forged", "protocol; no one is verified", func(a *attacker) error {
		id, err := a.pairing(nil)
		if err != nil {
			return err
		}
		if _, err := a.v.ask("yes " + a.code); err != nil { // the user on the other side is deceived
			return err
		}
		if err := a.say(fmt.Sprintf(`{"type":"pair_confirm","id":%q,"proof":%q}`, id, hexID()+hexID())); err != nil {
			return err
		}
		if err := wants(a.conn, protocol); err != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
		s, err := a.v.ask("close")
		if err == nil && len(s.Verified) > 0 {
			err = fmt.Errorf("%v is verified", s.Verified)
		}
		return err
	}},
	{session, "a second conn with another key and the same claimed ID", "identity; the first stays", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		b := a.v.attacker("friend")
		defer b.close()
		b.id = a.id
		if err := b.dial(); err != nil {
			return err
		}
		if err := b.say(b.hello()); err != nil {
			return err
		}
		if err := wants(b.conn, identity); err != nil {
			return err
		}
		return a.alive()
	}},
	{session, "20 conns with one key", "three wait in addition to the existing one, for 10 s; it remains", func(a *attacker) error {
		if err := a.connect(); err != nil {
			return err
		}
		var all []*quic.Conn
		for range 20 {
			c, err := a.dialAs(sessionALPN)
			if err != nil {
				continue
			}
			if s, err := c.OpenStream(); err == nil {
				_ = write(s, a.hello())
			}
			all = append(all, c)
		}
		all = append(all, a.conn)
		time.Sleep(3 * time.Second)
		if open := stillOpen(all); open > 4 {
			return fmt.Errorf("%d are open", open)
		}
		if !load.Within(12*time.Second, 100*time.Millisecond, func() bool { return stillOpen(all) <= 1 }) {
			return fmt.Errorf("%d stay open", stillOpen(all))
		}
		return a.alive()
	}},
}
