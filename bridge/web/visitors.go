package web

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"sync"
)

// visitors are the browsers that have opened a link, and what strangers have tried.
type visitors struct {
	pin  string
	most int

	mu        sync.Mutex
	byCookie  map[string]Visitor
	wrongPINs int
	wrong     int                // requests outside the secret path
	wrongOf   map[netip.Addr]int // of these, by address; as many as wrong at most
}

func newVisitors(pin string, most int) visitors {
	return visitors{pin: pin, most: most, byCookie: map[string]Visitor{}, wrongOf: map[netip.Addr]int{}}
}

// cookieName is the name of the cookie that a visitor gets.
const cookieName = "visitor"

var (
	errWrongPIN = errors.New("wrong PIN")
	errInUse    = errors.New("the link is in use")
)

// enter admits one more visitor and returns its cookie. The error is errWrongPIN, errInUse or ErrGuessed.
func (vs *visitors) enter(pin string, addr netip.Addr, agent string) (cookie string, v Visitor, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if subtle.ConstantTimeCompare([]byte(pin), []byte(vs.pin)) == 0 {
		vs.wrongPINs++
		if vs.wrongPINs >= maxWrongPINs { // guard: web-pin
			return "", v, ErrGuessed
		}
		return "", v, errWrongPIN
	}
	if len(vs.byCookie) >= vs.most { // guard: web-visitors
		return "", v, errInUse
	}
	cookie = rand.Text()
	v = Visitor{Number: len(vs.byCookie) + 1, Device: deviceOf(agent), Addr: addr}
	vs.byCookie[cookie] = v
	return cookie, v, nil
}

// of returns the visitor that a request comes from.
func (vs *visitors) of(r *http.Request) (Visitor, bool) {
	c, err := r.Cookie(cookieName)
	if err != nil {
		return Visitor{}, false
	}
	vs.mu.Lock()
	defer vs.mu.Unlock()
	v, known := vs.byCookie[c.Value]
	return v, known
}

// stray counts a request outside the secret path, and reports whether the link has to close.
func (vs *visitors) stray(addr netip.Addr) (guessed bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	vs.wrong++
	vs.wrongOf[addr]++
	if vs.wrong >= maxWrongPaths { // guard: web-guesses
		return true
	}
	return false
}

// silenced reports whether an address has made too many requests outside the secret path to get any more answers.
func (vs *visitors) silenced(addr netip.Addr) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if vs.wrongOf[addr] >= maxWrongPerAddr { // guard: web-paths
		return true
	}
	return false
}
