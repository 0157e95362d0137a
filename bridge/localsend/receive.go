package localsend

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"multipeer/engine"
	"multipeer/internal/connlimit"
	"multipeer/transfer"
)

// handlePrepare takes an offer, and answers once a person has decided.
func (g *Gateway) handlePrepare(w http.ResponseWriter, r *http.Request) {
	from := sourceOf(r)
	known := g.sessions.sink().Knows(keyOf(from))
	if pin := g.ownPIN(); pin != "" && !g.checkPIN(w, r, from, pin, known) {
		return
	}
	o, parts, err := g.readOffer(w, r, from, known)
	if err != nil {
		code, message := codeOf(err)
		fail(w, code, message)
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // a person may take longer
	device, ok := g.devices.found(from.device(o.Info))
	if !ok {
		fail(w, http.StatusConflict, "Blocked by another session")
		return
	}
	if text, ok := o.text(); ok {
		err := g.sessions.sink().ReceiveText(device, text)
		switch {
		case err == nil:
			answerSoon(w)
			w.WriteHeader(http.StatusNoContent)
			return
		case errors.Is(err, engine.ErrDeclined), errors.Is(err, engine.ErrTooLarge): // it becomes a file if a person accepts it
		default:
			code, message := codeOf(err)
			fail(w, code, message)
			return
		}
	}
	s := newSession(from, device.Key, parts, g.opts.stalls)
	s.device = device
	g.sessions.awaitEnding(r.Context(), device.Key)
	if !g.sessions.add(s, describe(device, o, parts)) {
		fail(w, http.StatusConflict, "Blocked by another session")
		return
	}
	g.awaitAnswer(w, r, s, known)
}

// readOffer reads the offer in a request, unless its sender asks too often or too many offers are being read.
func (g *Gateway) readOffer(w http.ResponseWriter, r *http.Request, from source, known bool) (offer, []part, error) {
	if err := g.devices.mayAsk(from, known); err != nil {
		return offer{}, nil, err
	}
	end, ok := g.sessions.startParsing(from, known)
	if !ok {
		return offer{}, nil, engine.ErrBusy
	}
	defer end()
	limitBody(w, parseFor)
	return parseOffer(r.Body)
}

// awaitAnswer answers an offer once a person has decided.
func (g *Gateway) awaitAnswer(w http.ResponseWriter, r *http.Request, s *session, known bool) {
	select {
	case a := <-s.accepted:
		g.devices.questions.accept(s.from.addr)
		g.devices.confirm(s.device)
		if err := reply(w, a); err != nil || r.Context().Err() != nil { // the sender has just given up
			s.end(engine.ErrCancelled)
		}
	case <-s.done:
		if !known && errors.Is(s.err, engine.ErrDeclined) {
			g.devices.questions.decline(s.from.addr)
		}
		code, message := codeOf(s.err)
		fail(w, code, message)
	case <-r.Context().Done(): // LocalSend 1.18 withdraws an offer this way
		s.end(engine.ErrCancelled)
		w.Header().Set("Connection", "close")
		fail(w, http.StatusInternalServerError, "The request was interrupted") // without it, the answer would be 200
	}
}

// checkPIN checks the PIN of a request, and answers the request if the PIN is wrong.
func (g *Gateway) checkPIN(w http.ResponseWriter, r *http.Request, from source, pin string, known bool) bool {
	given := r.URL.Query().Get("pin")
	right := subtle.ConstantTimeCompare([]byte(given), []byte(pin)) == 1
	switch {
	case !g.pins.guess(from, known, given != "" && !right):
		fail(w, http.StatusTooManyRequests, "Too many attempts")
	case given == "":
		fail(w, http.StatusUnauthorized, "PIN required")
	case !right:
		fail(w, http.StatusUnauthorized, "Invalid PIN")
	default:
		return true
	}
	return false
}

// handleUpload receives one file.
func (g *Gateway) handleUpload(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	s := g.sessions.of(sourceOf(r), q.Get("sessionId"))
	if s == nil {
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
		return
	}
	id := q.Get("fileId")
	p, in, ok := s.beginUpload(id, q.Get("token"))
	if !ok {
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
		return
	}
	defer s.uploads.Done()
	connlimit.Admit(r)
	control := http.NewResponseController(w)
	stop := context.AfterFunc(s.reading, func() {
		if context.Cause(s.reading) != errAllArrived {
			_ = control.SetReadDeadline(time.Now())
		}
	})
	body := &upload{Reader: r.Body, s: s, control: control}
	_, err := in.Receive(s.reading, transfer.Part{Path: p.path, Size: p.size, ModTime: p.modified, SHA256: p.sha256}, body)
	err = s.endUpload(id, err)
	interrupted := !stop() && context.Cause(s.reading) != errAllArrived
	if err != nil || interrupted { // net/http does not recover from the deadline: later requests on the connection would seem to be cancelled
		w.Header().Set("Connection", "close")
	}
	switch {
	case err == nil:
		answerSoon(w)
		w.WriteHeader(http.StatusOK)
	case errors.Is(err, transfer.ErrDigest):
		fail(w, http.StatusUnprocessableEntity, "Checksum mismatch")
	case s.reading.Err() != nil:
		fail(w, http.StatusForbidden, "Invalid session, token or IP address")
	default:
		g.log.Warn("an upload from LocalSend failed", "err", err)
		fail(w, http.StatusInternalServerError, "The file cannot be saved")
	}
}

// upload is the body of an upload. Each read has a time limit.
type upload struct {
	io.Reader
	s       *session
	control *http.ResponseController
}

func (u *upload) Read(b []byte) (int, error) {
	_ = u.control.SetReadDeadline(time.Now().Add(u.s.stalls))
	if u.s.reading.Err() != nil { // another goroutine may just have replaced the deadline
		return 0, context.Cause(u.s.reading)
	}
	n, err := u.Reader.Read(b)
	u.s.signal()
	if errors.Is(err, io.EOF) { // the steps that follow, such as writing to disk, have no such limit
		_ = u.control.SetReadDeadline(time.Time{})
	}
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("%w: %w", engine.ErrLost, err)
	}
	return n, err
}
