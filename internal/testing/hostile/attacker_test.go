//go:build linux

package hostile

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"time"

	"github.com/quic-go/quic-go"
)

const (
	sessionALPN = "multipeer/1"
	laneALPN    = "multipeer-lane/1"
)

// certificate creates a key with a certificate; change makes it invalid.
func certificate(change func(*x509.Certificate)) tls.Certificate {
	pub, key, _ := ed25519.GenerateKey(rand.Reader)
	t := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	if change != nil {
		change(t)
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, pub, key)
	if err != nil {
		panic(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// idText returns the text form of a certificate's ID, computed without the engine's code.
func idText(c tls.Certificate) string {
	leaf, _ := x509.ParseCertificate(c.Certificate[0])
	id := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	enc := base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
	check := sha256.Sum256(append([]byte("multipeer peer ID"), id[:]...))
	s := enc.EncodeToString(id[:]) + enc.EncodeToString(check[:2])[:2]
	var groups []string
	for i := 0; i < len(s); i += 9 {
		groups = append(groups, s[i:i+9])
	}
	return strings.Join(groups, "-")
}

// attacker is one hostile device.
type attacker struct {
	v    *victim
	cert tls.Certificate
	id   string
	name string
	tr   *quic.Transport
	conn *quic.Conn
	ctl  *quic.Stream
	code string // of a pairing
	open []func()
}

func (v *victim) attacker(name string) *attacker {
	c := certificate(nil)
	return &attacker{v: v, cert: c, id: idText(c), name: name}
}

func (a *attacker) close() {
	if a.conn != nil {
		_ = a.conn.CloseWithError(0, "")
	}
	for i := len(a.open) - 1; i >= 0; i-- {
		a.open[i]()
	}
}

func (a *attacker) tls(alpn string) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{a.cert}, InsecureSkipVerify: true, NextProtos: []string{alpn}, MinVersion: tls.VersionTLS13}
}

func (a *attacker) addr() *net.UDPAddr {
	return &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: a.v.port}
}

// dialAs opens a QUIC connection with an ALPN.
func (a *attacker) dialAs(alpn string) (*quic.Conn, error) {
	if a.tr == nil {
		s, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return nil, err
		}
		a.tr = &quic.Transport{Conn: s}
		a.open = append(a.open, func() { _ = a.tr.Close(); _ = s.Close() })
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return a.tr.Dial(ctx, a.addr(), a.tls(alpn), &quic.Config{EnableDatagrams: true, MaxIncomingStreams: 100, MaxIdleTimeout: 20 * time.Second, InitialStreamReceiveWindow: 1 << 20})
}

// dial opens the session connection and its first stream.
func (a *attacker) dial() error {
	c, err := a.dialAs(sessionALPN)
	if err != nil {
		return err
	}
	a.conn = c
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	a.ctl, err = c.OpenStreamSync(ctx)
	return err
}

// frame prepends the length to a string.
func frame(s string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(s))), s...)
}

func write(s io.Writer, texts ...string) error {
	var b []byte
	for _, t := range texts {
		b = append(b, frame(t)...)
	}
	_, err := s.Write(b)
	return err
}

// say writes frames to the control stream.
func (a *attacker) say(texts ...string) error {
	_ = a.ctl.SetWriteDeadline(time.Now().Add(5 * time.Second))
	return write(a.ctl, texts...)
}

func readFrame(s *quic.Stream, within time.Duration) (map[string]any, error) {
	_ = s.SetReadDeadline(time.Now().Add(within))
	var head [4]byte
	if _, err := io.ReadFull(s, head[:]); err != nil {
		return nil, err
	}
	b := make([]byte, binary.BigEndian.Uint32(head[:]))
	if _, err := io.ReadFull(s, b); err != nil {
		return nil, err
	}
	var m map[string]any
	return m, json.Unmarshal(b, &m)
}

// hear waits for a message of a type.
func (a *attacker) hear(kind string) (map[string]any, error) {
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); {
		m, err := readFrame(a.ctl, time.Until(end))
		if err != nil {
			return nil, fmt.Errorf("waiting for %s: %w", kind, err)
		}
		if m["type"] == kind {
			return m, nil
		}
	}
	return nil, fmt.Errorf("no %s", kind)
}

func (a *attacker) hello() string {
	return fmt.Sprintf(`{"type":"hello","v":1,"id":%q,"name":%q,"boot":%q,"service":%q,"open":true}`, a.id, a.name, hexID()[:16], service)
}

func hexID() string {
	var b [16]byte
	_, _ = rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// greet reaches the state with a greeted connection.
func (a *attacker) greet() error {
	if err := a.dial(); err != nil {
		return err
	}
	if err := a.say(a.hello()); err != nil {
		return err
	}
	_, err := a.hear("hello_ack")
	return err
}

// connect reaches the state with a session.
func (a *attacker) connect() error {
	if err := a.greet(); err != nil {
		return err
	}
	if err := a.say(fmt.Sprintf(`{"type":"invite","id":%q}`, hexID())); err != nil {
		return err
	}
	m, err := a.hear("invite_answer")
	if err == nil && m["accept"] != true {
		err = fmt.Errorf("not accepted: %v", m)
	}
	return err
}

// offer proposes files and waits for the acceptance.
func (a *attacker) offer(id string, names []string, files, folders, size int64) error {
	return a.offerAttempt(id, names, files, folders, size, 1)
}

// offerAttempt is offer for a later attempt.
func (a *attacker) offerAttempt(id string, names []string, files, folders, size int64, attempt int) error {
	list, _ := json.Marshal(names)
	err := a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":%s,"items":%d,"files":%d,"folders":%d,"bytes":%d,"attempt":%d}`, id, list, len(names), files, folders, size, attempt))
	if err != nil {
		return err
	}
	m, err := a.hear("offer_answer")
	if err == nil && m["accept"] != true {
		err = fmt.Errorf("not accepted: %v", m)
	}
	return err
}

// lane opens a lane for a transfer; token replaces the valid token if it is not empty.
func (a *attacker) lane(id, token string) (*quic.Conn, *quic.Stream, error) {
	return a.laneAttempt(id, token, 1)
}

// laneAttempt is lane for a later attempt.
func (a *attacker) laneAttempt(id, token string, attempt int) (*quic.Conn, *quic.Stream, error) {
	if token == "" {
		state := a.conn.ConnectionState().TLS
		b, err := state.ExportKeyingMaterial("EXPORTER-multipeer-lane", []byte(id), 32)
		if err != nil {
			return nil, nil, err
		}
		token = hex.EncodeToString(b)
	}
	c, err := a.dialAs(laneALPN)
	if err != nil {
		return nil, nil, err
	}
	a.open = append(a.open, func() { _ = c.CloseWithError(0, "") })
	s, err := c.OpenStream()
	if err != nil {
		return c, nil, err
	}
	if err := write(s, fmt.Sprintf(`{"type":"lane","id":%q,"attempt":%d,"token":%q}`, id, attempt, token)); err != nil {
		return c, s, err
	}
	m, err := readFrame(s, 5*time.Second)
	if err == nil && m["code"] != nil {
		err = fmt.Errorf("lane refused: %v", m["code"])
	}
	return c, s, err
}

// transfer reaches the state inside an accepted transfer; it returns the lane.
func (a *attacker) transfer(names []string, files, folders, size int64) (id string, lane *quic.Stream, err error) {
	if err := a.connect(); err != nil {
		return "", nil, err
	}
	id = hexID()
	if err := a.offer(id, names, files, folders, size); err != nil {
		return id, nil, err
	}
	_, lane, err = a.lane(id, "")
	return id, lane, err
}

// The parts of a transfer's bytes, written directly.

func varint(n uint64) []byte { return binary.AppendUvarint(nil, n) }

func record(kind byte, parts ...[]byte) []byte {
	var body []byte
	for _, p := range parts {
		body = append(body, p...)
	}
	return append(append([]byte{kind}, varint(uint64(len(body)))...), body...)
}

func block(n uint64, records ...[]byte) []byte {
	var body []byte
	for _, r := range records {
		body = append(body, r...)
	}
	b := binary.BigEndian.AppendUint64([]byte{'B'}, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	return append(b, body...)
}

// entry announces a file (kind 0), a folder (1) or a link (2).
func entry(kind byte, path string, size uint64, target string) []byte {
	parts := [][]byte{{kind, 0}, varint(size), {0}, {0}, make([]byte, 8), {0}, varint(uint64(len(path))), []byte(path)}
	if kind == 2 {
		parts = append(parts, []byte(target))
	}
	return record('E', parts...)
}

// result returns how the victim has ended a transfer: the kind of its last record.
func result(lane *quic.Stream) (kind byte, err error) {
	_ = lane.SetReadDeadline(time.Now().Add(8 * time.Second))
	for {
		var head [1]byte
		if _, err := io.ReadFull(lane, head[:]); err != nil {
			return 0, err
		}
		var rest [12]byte
		switch head[0] {
		case 'K':
			if _, err := io.ReadFull(lane, rest[:8]); err != nil {
				return 0, err
			}
			continue
		case 'B':
		default:
			return 0, fmt.Errorf("frame %q", head)
		}
		if _, err := io.ReadFull(lane, rest[:]); err != nil {
			return 0, err
		}
		body := make([]byte, binary.BigEndian.Uint32(rest[8:]))
		if _, err := io.ReadFull(lane, body); err != nil {
			return 0, err
		}
		for len(body) > 0 {
			n, w := binary.Uvarint(body[1:])
			switch body[0] {
			case 'A', 'R':
				return body[0], nil
			}
			body = body[1+w+int(n):]
		}
	}
}

// closed waits for the end of a connection and returns its application code; -1 for another end.
func closed(c *quic.Conn, within time.Duration) (int, error) {
	select {
	case <-c.Context().Done():
	case <-time.After(within):
		return 0, errors.New("the conn is still open")
	}
	var app *quic.ApplicationError
	if errors.As(context.Cause(c.Context()), &app) && app.Remote {
		return int(app.ErrorCode), nil
	}
	return -1, nil
}
