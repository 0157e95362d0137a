package transport

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/wire"

	"github.com/quic-go/quic-go"
)

const phrase = "\x1b[2K\x1b]52;c;ZXZpbA==\x07\nAnna reached, verified"

// TestReason_TextOfAPeerIsNotRepeated: errors never contain the text that a device sends when it ends a connection,
// only the code.
func TestReason_TextOfAPeerIsNotRepeated(t *testing.T) {
	for _, err := range []error{
		&quic.TransportError{Remote: true, ErrorCode: 0x100 + 42, ErrorMessage: phrase},
		&quic.TransportError{Remote: true, ErrorCode: 0x1ff, ErrorMessage: phrase},
		&quic.TransportError{Remote: true, ErrorCode: quic.ConnectionRefused, ErrorMessage: phrase},
		&quic.TransportError{Remote: true, ErrorCode: 0xfedcba, ErrorMessage: phrase},
		&quic.TransportError{ErrorCode: quic.ProtocolViolation, ErrorMessage: phrase},
		&quic.ApplicationError{Remote: true, ErrorCode: quic.ApplicationErrorCode(wire.Busy), ErrorMessage: phrase},
		&quic.ApplicationError{Remote: true, ErrorCode: 1 << 40, ErrorMessage: phrase},
		&quic.VersionNegotiationError{Theirs: make([]quic.Version, 300)},
	} {
		for _, err := range []error{err, fmt.Errorf("reading: %w", err)} {
			for _, got := range []error{Cause(err), dialError(err)} {
				if s := got.Error(); strings.ContainsAny(s, "\x1b\n\x07") || strings.Contains(s, "Anna") || len(s) > 120 {
					t.Errorf("%T: %q", err, s)
				}
			}
		}
	}
}

// TestReason_SystemErrorsMeanThatThePeerIsLost: a connection whose packets the system refuses to send, as when the
// cable is pulled, has an error that programs can check for.
func TestReason_SystemErrorsMeanThatThePeerIsLost(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.ENOBUFS} {
		system := &net.OpError{Op: "write", Net: "udp", Err: os.NewSyscallError("sendmsg", number)}
		for _, err := range []error{system, fmt.Errorf("sending: %w", system)} {
			got := Cause(err)
			if !errors.Is(got, ErrLost) || !errors.Is(got, number) || strings.Contains(got.Error(), "udp") {
				t.Errorf("%v: %v", number, got)
			}
		}
	}
}

// TestReason_TextOfAHostileDeviceIsNotRepeated covers devices that refuse the handshake and devices that end the
// connection before and during the greeting.
func TestReason_TextOfAHostileDeviceIsNotRepeated(t *testing.T) {
	a := listen(t, nil)
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	device := func(refuse error) *quic.Listener {
		cfg := &tls.Config{
			Certificates: []tls.Certificate{id.Cert}, NextProtos: []string{string(Session)}, ClientAuth: tls.RequireAnyClientCert,
			VerifyConnection: func(tls.ConnectionState) error { return refuse }, // its text is the reason phrase
		}
		l, err := quic.ListenAddr("127.0.0.1:0", cfg, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	at := func(l *quic.Listener) netip.AddrPort { return l.Addr().(*net.UDPAddr).AddrPort() }
	check := func(what string, err error, want error) {
		t.Helper()
		if !errors.Is(err, want) || strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: %q", what, fmt.Sprint(err))
		}
	}
	c, err := a.Dial(t.Context(), at(device(errors.New(phrase))), KeyOf(id.ID), Session)
	if err == nil { // the refusal arrives after our half is complete
		_, _, err = c.Greet(t.Context(), a.hello(), HelloTimeout)
	}
	check("refused", err, ErrRefused)

	l := device(nil)
	for code, want := range map[quic.ApplicationErrorCode]error{quic.ApplicationErrorCode(wire.Busy): wire.ErrBusy, 999: wire.ErrFailed} {
		go func() {
			q, err := l.Accept(context.Background())
			if err == nil {
				time.Sleep(20 * time.Millisecond)
				_ = q.CloseWithError(code, phrase)
			}
		}()
		c, err := a.Dial(t.Context(), at(l), KeyOf(id.ID), Session)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = c.Greet(t.Context(), a.hello(), HelloTimeout)
		check("closed", err, want)
		check("the end of the conn", c.Err(), want)
	}
}

// TestStatelessReset_EachSocketHasItsOwnKey: the answer of one socket to a packet of an unknown connection ends no
// connection of another socket (RFC 9000 section 21.11).
func TestStatelessReset_EachSocketHasItsOwnKey(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	session, lanes := resetKey(id, "session"), resetKey(id, "lanes")
	if *session == *lanes || *session != *resetKey(id, "session") {
		t.Error("the keys are the same, or change")
	}
	e := listen(t, nil)
	l, err := e.ListenLanes(false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if *e.tr.StatelessResetKey == *l.tr.StatelessResetKey {
		t.Error("the sockets share a key")
	}
}
