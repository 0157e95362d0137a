//go:build linux

package browser

import (
	"bytes"
	"net"
	"net/url"
	"sync/atomic"
	"testing"
)

// cutter is a proxy on another port that cuts connections once they have carried some bytes. Requests have to contain
// the link's own host, so it replaces the Host and Origin headers with those that the browser would send to the link.
type cutter struct {
	l    net.Listener
	to   string
	left atomic.Int64 // remaining cuts
	cuts atomic.Int64
}

func newCutter(t *testing.T, to string, cuts int64) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{l: l, to: to}
	c.left.Store(cuts)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.carry(in)
		}
	}()
	return c
}

func (c *cutter) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer out.Close()
	own := []byte(c.l.Addr().String())
	move := func(dst, src net.Conn, replace bool) {
		defer dst.Close()
		defer src.Close()
		buf := make([]byte, 64<<10)
		total := 0
		for {
			n, err := src.Read(buf)
			b := buf[:n]
			if replace { // headers only; the tests' files are random and do not contain the address
				b = bytes.ReplaceAll(b, own, []byte(c.to))
			}
			if _, werr := dst.Write(b); werr != nil || err != nil {
				return
			}
			if total += n; total > 3<<20 && c.left.Add(-1) >= 0 {
				c.cuts.Add(1)
				return
			}
		}
	}
	go move(in, out, false)
	move(out, in, true)
}

// through returns the address of a link through the proxy.
func (c *cutter) through(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	u.Host = c.l.Addr().String()
	return u.String()
}
