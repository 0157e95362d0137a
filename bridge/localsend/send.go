package localsend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path"
	"slices"
	"strconv"
	"sync"
	"time"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/transfer"
)

const (
	uploadsAtOnce = 2 // the same as LocalSend
	cancelTimeout = 5 * time.Second
	textTimeout   = 25 * time.Second
	maxNotes      = 1000
)

var (
	errTooMany = errors.New("LocalSend accepts at most " + strconv.Itoa(maxFiles) + " files at once")
	// ErrPIN reports that a device requires a PIN, and that none or a wrong one was given: see GivePIN.
	ErrPIN = errors.New("the other device asks for a PIN, which was not given or is wrong; use --localsend-pin, or turn the PIN off in LocalSend's settings on that device")
	// errClosed reports a device that has closed the connection in the middle of a file, and still answers: apps cancel
	// this way.
	errClosed    = fmt.Errorf("%w: the other device has closed the connection", engine.ErrCancelled)
	errNoFolders = errors.New("LocalSend cannot send empty folders")
	errNoFiles   = fmt.Errorf("%w: there are no files to send, and %w", engine.ErrInvalid, errNoFolders)
)

// outgoing holds the sessions in which this device sends: their receivers can cancel them.
type outgoing struct {
	mu   sync.Mutex
	ends map[outgoingSession]context.CancelCauseFunc
}

// outgoingSession names a session. Receivers choose the IDs, so those of two receivers may be equal.
type outgoingSession struct {
	to netip.Addr
	id string
}

func newOutgoing() *outgoing {
	return &outgoing{ends: map[outgoingSession]context.CancelCauseFunc{}}
}

func (o *outgoing) add(id string, to netip.Addr, end context.CancelCauseFunc) (remove func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ends[outgoingSession{to, id}] = end
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.ends, outgoingSession{to, id})
	}
}

// cancel ends a session at its receiver's request.
func (o *outgoing) cancel(from netip.Addr, id string) bool {
	o.mu.Lock()
	end := o.ends[outgoingSession{from, id}]
	o.mu.Unlock()
	if end == nil { // guard: localsend-cancel
		return false
	}
	end(engine.ErrCancelled)
	return true
}

// Send offers files, and sends the accepted ones, two at a time.
func (g *Gateway) Send(ctx context.Context, to gateway.Device, out gateway.Outgoing) (transfer.Result, error) {
	s := &sending{g: g, d: &device{Device: to}, out: out}
	s.client = g.client(s.d)
	defer s.client.CloseIdleConnections()
	if err := s.list(ctx); err != nil {
		return s.result, err
	}
	a, err := s.ask(ctx)
	if err != nil {
		return s.result, err
	}
	out.Accepted()
	g.answeredAt(to)
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer g.sent.add(a.SessionID, to.Addr.Addr(), end)()
	err = s.upload(ctx, a)
	if err != nil { // LocalSend would refuse everyone else until the session is cancelled
		reachable := g.cancelRemote(ctx, s.client, s.d, a.SessionID)
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case errors.Is(err, engine.ErrLost) && reachable:
			err = errClosed
		}
	}
	return s.result, err
}

// sending is one offer to a device.
type sending struct {
	g      *Gateway
	d      *device
	out    gateway.Outgoing
	client *http.Client
	files  []fileInfo
	stats  []fs.FileInfo // of the files, when they were offered

	mu     sync.Mutex // guards what follows
	result transfer.Result
}

// list builds the list of files. The protocol has no folders, only paths of files.
func (s *sending) list(ctx context.Context) error {
	empty := map[string]bool{}
	for e, err := range s.out.Listing.Entries(ctx) {
		switch {
		case err != nil:
			return err
		case e.Err != nil:
			s.leaveOut(e.Path, e.Err)
			continue
		case e.Folder:
			s.result.Folders++
			empty[e.Path] = true
			continue
		case len(s.files) >= maxFiles:
			return errTooMany
		}
		stat, err := s.stat(e.Path)
		if err != nil {
			s.leaveOut(e.Path, err)
			continue
		}
		s.stats = append(s.stats, stat)
		id := strconv.Itoa(len(s.files))
		kind := mime.TypeByExtension(path.Ext(e.Path))
		if kind == "" {
			kind = "application/octet-stream"
		}
		s.files = append(s.files, fileInfo{ID: id, FileName: e.Path, Size: stat.Size(), FileType: kind})
		for dir := path.Dir(e.Path); empty[dir]; dir = path.Dir(dir) {
			delete(empty, dir)
		}
	}
	for _, folder := range slices.Sorted(maps.Keys(empty)) {
		s.result.Folders--
		s.leaveOut(folder, errNoFolders)
	}
	if len(s.files) == 0 {
		return errNoFiles
	}
	return nil
}

// stat returns the current state of a file.
func (s *sending) stat(path string) (fs.FileInfo, error) {
	f, info, err := s.out.Listing.Open(path)
	if err != nil {
		return nil, err
	}
	return info, f.Close()
}

// leaveOut records a file that will not arrive.
func (s *sending) leaveOut(name string, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.result.LeftOut++
	if len(s.result.Notes) < maxNotes {
		s.result.Notes = append(s.result.Notes, transfer.Note{Path: name, Err: why})
	}
}

// answerTimeout is how long the person at the other device may take to answer, as for offers to other peers.
const answerTimeout = 10 * time.Minute

// ask offers the files and waits for the answer.
func (s *sending) ask(ctx context.Context) (acceptance, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, answerTimeout, engine.ErrTimeout)
	defer cancel()
	o := offer{Info: s.g.info(), Files: files{}}
	for _, f := range s.files {
		o.Files[f.ID] = f
	}
	a, err := s.g.prepare(ctx, s.client, s.d, o)
	if err == nil && len(a.Files) == 0 { // it wants none of the files
		err = engine.ErrDeclined
	}
	return a, err
}

// prepare sends the request prepare-upload. After an acceptance with shown set, there is nothing to upload.
func (g *Gateway) prepare(ctx context.Context, client *http.Client, d *device, o offer) (a acceptance, err error) {
	body, err := json.Marshal(o)
	if err != nil {
		return a, err
	}
	res, err := g.askOnce(ctx, client, d, body, "")
	if pin := g.pinFor(d); err == nil && res.StatusCode == http.StatusUnauthorized && pin != "" { // only once: a few wrong PINs lock this device out
		_ = res.Body.Close()
		res, err = g.askOnce(ctx, client, d, body, "?pin="+pin)
	}
	if err != nil {
		if ctx.Err() != nil { // apps before 1.18 do not notice that the request has ended
			g.cancelRemote(ctx, client, d, "")
			return a, context.Cause(ctx)
		}
		return a, reachError(err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
		if err := json.NewDecoder(io.LimitReader(res.Body, maxPrepare)).Decode(&a); err != nil {
			return a, fmt.Errorf("cannot read the other device's response: %w", err)
		}
		return a, checkAcceptance(a)
	case http.StatusNoContent:
		a.shown = true
		return a, nil
	case http.StatusUnauthorized:
		return a, ErrPIN
	case http.StatusForbidden:
		return a, engine.ErrDeclined
	case http.StatusConflict, http.StatusTooManyRequests:
		return a, engine.ErrBusy
	}
	return a, answerError(res)
}

// checkAcceptance limits the tokens, which are sent back with each file.
func checkAcceptance(a acceptance) error {
	if len(a.SessionID) > maxTokens { // guard: localsend-long-session
		return fmt.Errorf("invalid response from the other device: its session ID is %d bytes long (limit %d)", len(a.SessionID), maxTokens)
	}
	for _, token := range a.Files {
		if len(token) > maxTokens { // guard: localsend-long-token
			return fmt.Errorf("invalid response from the other device: a token is %d bytes long (limit %d)", len(token), maxTokens)
		}
	}
	return nil
}

// askOnce sends one request prepare-upload.
func (g *Gateway) askOnce(ctx context.Context, client *http.Client, d *device, body []byte, query string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url("prepare-upload"+query), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	return client.Do(r)
}

// answerError is the error for an answer that the protocol does not define.
func answerError(res *http.Response) error {
	return fmt.Errorf("the other device reports a failure: %s", engine.CleanLine(res.Status))
}

// reachError is the error for a request that got no answer.
func reachError(err error) error {
	if errors.Is(err, errOtherKey) {
		return fmt.Errorf("%w: %w", engine.ErrIdentity, err)
	}
	var request *url.Error
	if errors.As(err, &request) { // its text contains the address with the token
		err = request.Err
	}
	return fmt.Errorf("%w: the other device does not answer (%w); open LocalSend on it, and keep it in the foreground", engine.ErrLost, err)
}

// upload sends the accepted files. The others are recorded as left out.
func (s *sending) upload(ctx context.Context, a acceptance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	slots := make(chan struct{}, uploadsAtOnce)
	var running sync.WaitGroup
	for n, f := range s.files {
		token, wanted := a.Files[f.ID]
		if !wanted {
			s.leaveOut(f.FileName, engine.ErrDeclined)
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
		}
		if ctx.Err() != nil {
			break
		}
		running.Go(func() {
			defer func() { <-slots }()
			if err := s.uploadFile(ctx, n, a.SessionID, token); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case s.result.Files == 0:
		return s.result.Notes[0].Err
	}
	return nil
}

// uploadFile sends one file. A file that has changed since it was offered, or cannot be read, is left out; the
// remaining files are still sent.
func (s *sending) uploadFile(ctx context.Context, n int, session, token string) error {
	f, offered := s.files[n], s.stats[n]
	file, info, err := s.out.Listing.Open(f.FileName)
	if err != nil {
		s.leaveOut(f.FileName, err)
		return nil
	}
	defer file.Close()
	if !unchanged(offered, info) { // guard: localsend-changed
		s.leaveOut(f.FileName, transfer.ErrChanged)
		return nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	idle := time.AfterFunc(s.g.opts.stalls, func() { cancel(transfer.ErrStalled) })
	defer idle.Stop()
	body := &uploadBody{file: file, offered: offered, left: f.Size, s: s, idle: idle}
	query := url.Values{"sessionId": {session}, "fileId": {f.ID}, "token": {token}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, s.d.url("upload?"+query.Encode()), body)
	if err != nil {
		return err
	}
	r.ContentLength = f.Size
	if f.Size == 0 {
		r.Body = http.NoBody
	}
	r.Header.Set("Content-Type", "application/octet-stream")
	res, err := s.client.Do(r)
	left, changed := body.end()
	if changed {
		s.leaveOut(f.FileName, transfer.ErrChanged)
		s.report(left - f.Size)
		return nil
	}
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return reachError(err)
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, maxInfo)
	switch {
	case res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusConflict: // its user has cancelled
		return engine.ErrCancelled
	case res.StatusCode != http.StatusOK: // the other files may still arrive
		err = answerError(res)
	case left > 0: // guard: localsend-early
		err = errEarly
	}
	if err != nil {
		s.leaveOut(f.FileName, err)
		s.report(left - f.Size)
		return nil
	}
	s.mu.Lock()
	s.result.Files++
	s.mu.Unlock()
	s.report(0)
	return nil
}

// errEarly reports a receiver that confirms a file before it has all of it.
var errEarly = errors.New("the other device confirmed the file before it had all of it")

// unchanged reports whether a file is still the one that was offered, judging by its metadata.
func unchanged(offered, now fs.FileInfo) bool {
	return os.SameFile(offered, now) && transfer.StateOf(offered) == transfer.StateOf(now)
}

// uploadBody reads a file. It releases the last bytes only if the file has not changed in the meantime: without them
// the receiver discards the file.
type uploadBody struct {
	file    *os.File
	offered fs.FileInfo
	s       *sending
	idle    *time.Timer

	mu      sync.Mutex // the transport may still be reading after its caller has the answer
	left    int64
	changed bool
	ended   bool
}

// Read implements io.Reader.
func (b *uploadBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ended || b.changed {
		return 0, transfer.ErrChanged
	}
	if b.left == 0 {
		return 0, io.EOF
	}
	n, err := b.file.Read(p[:min(int64(len(p)), b.left)])
	if err == nil && int64(n) == b.left {
		var now fs.FileInfo
		if now, err = b.file.Stat(); err == nil && !unchanged(b.offered, now) {
			err = transfer.ErrChanged
		}
	}
	if err != nil { // including an end before the offered size
		b.changed = true
		return 0, transfer.ErrChanged
	}
	b.left -= int64(n)
	b.idle.Reset(b.s.g.opts.stalls)
	if b.left == 0 {
		b.idle.Reset(answerFactor * b.s.g.opts.stalls)
	}
	b.s.report(int64(n))
	return n, nil
}

// Close implements io.Closer. uploadFile closes the file.
func (b *uploadBody) Close() error { return nil }

// end stops reading, and returns how many bytes were not read, and whether the file has changed.
func (b *uploadBody) end() (left int64, changed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return b.left, b.changed
}

// report reports the progress after n more bytes were sent.
func (s *sending) report(n int64) {
	s.mu.Lock()
	s.result.Bytes += n
	p := transfer.Progress{Phase: transfer.Moving, Bytes: s.result.Bytes, Files: s.result.Files}
	s.mu.Unlock()
	s.out.OnProgress(p)
}

// cancelRemote cancels a session on the other device, and reports whether the device has answered. An empty ID means the
// session that waits for an answer.
func (g *Gateway) cancelRemote(ctx context.Context, client *http.Client, d *device, session string) (reachable bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer cancel()
	what := "cancel"
	if session != "" {
		what += "?sessionId=" + url.QueryEscape(session)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url(what), http.NoBody)
	if err != nil {
		return false
	}
	res, err := client.Do(r)
	if err != nil {
		g.log.Debug("cancelling at LocalSend", "err", err)
		return false
	}
	_ = res.Body.Close()
	return true
}

// SendText sends text. LocalSend shows it at once; other programs may request it as a file.
func (g *Gateway) SendText(ctx context.Context, to gateway.Device, text string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, textTimeout, engine.ErrTimeout)
	defer cancel()
	d := &device{Device: to}
	client := g.client(d)
	defer client.CloseIdleConnections()
	f := fileInfo{ID: "0", FileName: "text.txt", Size: int64(len(text)), FileType: "text/plain", Preview: &text}
	a, err := g.prepare(ctx, client, d, offer{Info: g.info(), Files: files{"0": f}})
	if err != nil || a.shown {
		return err
	}
	token, wanted := a.Files["0"]
	if !wanted { // guard: localsend-text-declined
		g.cancelRemote(ctx, client, d, a.SessionID)
		return engine.ErrDeclined
	}
	query := url.Values{"sessionId": {a.SessionID}, "fileId": {"0"}, "token": {token}}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url("upload?"+query.Encode()), bytes.NewReader([]byte(text)))
	if err != nil {
		return err
	}
	res, err := client.Do(r)
	if err != nil {
		g.cancelRemote(ctx, client, d, a.SessionID)
		return reachError(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		g.cancelRemote(ctx, client, d, a.SessionID)
		return answerError(res)
	}
	return nil
}
