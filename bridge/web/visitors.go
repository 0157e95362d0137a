package web

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// visitors holds the browsers that have opened a link, and counts the attempts of others.
type visitors struct {
	pin  string
	most int

	mu        sync.Mutex
	byCookie  map[string]Visitor
	wrongPINs int
	texts     map[int]*rate.Limiter // by visitor
	offers    map[int]*rate.Limiter // by visitor
	announced map[int]*rate.Limiter // by visitor
	declined  map[int]int           // by visitor: uploads in a row that a person has declined
	wrongOf   map[netip.Addr]int    // requests outside the secret path; at most maxStrays addresses
}

func newVisitors(pin string, most int) visitors {
	return visitors{
		pin: pin, most: most, byCookie: map[string]Visitor{}, wrongOf: map[netip.Addr]int{},
		texts: map[int]*rate.Limiter{}, offers: map[int]*rate.Limiter{}, announced: map[int]*rate.Limiter{}, declined: map[int]int{},
	}
}

// cookieName is the name of the cookie that identifies a visitor.
const cookieName = "visitor"

var (
	errWrongPIN = errors.New("wrong PIN")
	errInUse    = errors.New("the link is in use")
)

// enter admits one more visitor and returns its cookie. The error is errWrongPIN, errInUse or ErrGuessed. After too
// many wrong PINs, no one else is admitted; existing visitors are not affected.
func (vs *visitors) enter(pin string, addr netip.Addr, agent string) (cookie string, v Visitor, err error) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(vs.byCookie) >= vs.most { // guard: web-visitors
		return "", v, errInUse
	}
	if vs.pin != "" && subtle.ConstantTimeCompare([]byte(pin), []byte(vs.pin)) == 0 {
		vs.wrongPINs++
		switch {
		case vs.wrongPINs < maxWrongPINs:
			return "", v, errWrongPIN
		case len(vs.byCookie) == 0: // guard: web-pin
			return "", v, ErrGuessed
		}
		vs.most = len(vs.byCookie)
		return "", v, errInUse
	}
	cookie = rand.Text()
	v = Visitor{Number: len(vs.byCookie) + 1, Device: deviceOf(agent), Addr: addr}
	vs.byCookie[cookie] = v
	return cookie, v, nil
}

// of returns the visitor that sent a request.
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

// limiterOf returns the limiter of a visitor.
func limiterOf(of map[int]*rate.Limiter, v Visitor, every time.Duration, burst int) *rate.Limiter {
	if of[v.Number] == nil {
		of[v.Number] = rate.NewLimiter(rate.Every(every), burst)
	}
	return of[v.Number]
}

// maySay reports whether a visitor may send one more text message now.
func (vs *visitors) maySay(v Visitor) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return limiterOf(vs.texts, v, textEvery, textsAtOnce).Allow()
}

// mayAnnounce reports whether an announcement of a visitor may be read now: it may be long, and it is read before
// anyone is asked.
func (vs *visitors) mayAnnounce(v Visitor) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.declined[v.Number] < maxDeclined && limiterOf(vs.announced, v, announceEvery, announcementsAtOnce).Allow()
}

// mayAsk reports whether a visitor may ask a person about one more upload now.
func (vs *visitors) mayAsk(v Visitor) bool {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	return vs.declined[v.Number] < maxDeclined && limiterOf(vs.offers, v, askEvery, asksAtOnce).Allow()
}

// answered counts a person's answer to a visitor.
func (vs *visitors) answered(v Visitor, yes bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if yes {
		delete(vs.declined, v.Number)
	} else {
		vs.declined[v.Number]++
	}
}

// stray counts a request outside the secret path, and reports whether its address no longer gets an answer. Requests
// with the right path from that address are still answered: any web page can make a browser send stray requests.
func (vs *visitors) stray(addr netip.Addr) (silent bool) {
	vs.mu.Lock()
	defer vs.mu.Unlock()
	if len(vs.wrongOf) >= maxStrays {
		clear(vs.wrongOf)
	}
	vs.wrongOf[addr]++
	if vs.wrongOf[addr] > maxWrongPerAddr { // guard: web-paths
		return true
	}
	return false
}
