package web

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"multipeer/transfer"
)

// takeOffer handles the announcement of an upload by the page's script.
func (us *uploads) takeOffer(w http.ResponseWriter, r *http.Request, v Visitor) {
	if !us.l.visitors.mayAnnounce(v) || !us.startParsing(v) { // guard: web-announcements
		refuse(w, http.StatusTooManyRequests, "busy")
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(us.l.opts.stalls / 2))
	r.Body = http.MaxBytesReader(w, r.Body, maxOffer)
	files, err := readOffer(r.Body)
	us.endParsing(v)
	if err != nil {
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusBadRequest, "bad-name")
		return
	}
	view, err := describe(v, files)
	if err != nil {
		refuse(w, http.StatusBadRequest, "bad-name")
		return
	}
	up, err := us.begin(rand.Text(), view, files, false)
	if err != nil {
		refuse(w, http.StatusTooManyRequests, "busy")
		return
	}
	reply(w, http.StatusOK, map[string]string{"offer": up.id})
}

// readOffer reads {"files":[...]} file by file, so that it can stop at the first invalid entry.
func readOffer(body io.Reader) (files []offeredFile, err error) {
	d := json.NewDecoder(body)
	for _, want := range []json.Token{json.Delim('{'), "files", json.Delim('[')} {
		if got, err := d.Token(); err != nil || got != want {
			return nil, transfer.ErrProtocol
		}
	}
	for d.More() {
		var f offeredFile
		if err := d.Decode(&f); err != nil {
			return nil, err
		}
		if len(files) >= maxOfferedFiles || f.Path == "" || len(f.Path) > transfer.MaxPath { // guard: web-files
			return nil, errTooMany
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		return nil, transfer.ErrProtocol
	}
	return files, nil
}

// describe summarizes an announced upload.
func describe(v Visitor, files []offeredFile) (Upload, error) {
	u := Upload{Visitor: v, Files: int64(len(files))}
	tops, folders := map[string]bool{}, map[string]bool{}
	for _, f := range files {
		if f.Size < 0 || f.Size > 1<<53 || u.Bytes > 1<<60 {
			return u, transfer.ErrProtocol
		}
		u.Bytes += f.Size
		top, _, _ := strings.Cut(f.Path, "/")
		if top == "" {
			return u, transfer.ErrBadName
		}
		for dir := path.Dir(f.Path); dir != "." && dir != "/" && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
		if len(folders) > maxOfferedFolders { // guard: web-folders
			return u, errTooMany
		}
		if !tops[top] {
			tops[top] = true
			if len(u.Names) < shownNames {
				u.Names = append(u.Names, top)
			}
		}
	}
	u.Items, u.Folders = len(tops), int64(len(folders))
	return u, nil
}

// answer waits for a limited time for the answer to an offer.
func (us *uploads) answer(w http.ResponseWriter, r *http.Request, v Visitor, id string) {
	up := us.of(v, id)
	if up == nil {
		http.NotFound(w, r)
		return
	}
	up.asked()
	timer := time.NewTimer(pollFor)
	defer timer.Stop()
	select {
	case <-up.decided:
	case <-timer.C:
	case <-r.Context().Done():
	}
	up.asked()
	up.mu.Lock()
	state := up.state
	up.mu.Unlock()
	reply(w, http.StatusOK, map[string]string{"state": state})
}

// takePart receives one file of an accepted upload, or reports how much of it has arrived.
func (us *uploads) takePart(w http.ResponseWriter, r *http.Request, v Visitor, rest string) {
	id, number, _ := strings.Cut(rest, "/")
	up := us.of(v, id)
	n, err := strconv.Atoi(number)
	if up == nil || up.form || err != nil {
		http.NotFound(w, r)
		return
	}
	up.mu.Lock()
	state, in, files := up.state, up.intake, up.files
	up.mu.Unlock()
	if state != accepted { // guard: web-consent
		w.Header().Set("Connection", "close")
		refuse(w, http.StatusForbidden, state)
		return
	}
	if n < 0 || n >= len(files) {
		http.NotFound(w, r)
		return
	}
	f := files[n]
	switch r.Method {
	case http.MethodGet:
		reply(w, http.StatusOK, map[string]int64{"arrived": in.Arrived(f.Path)})
		return
	case http.MethodPut:
	default:
		http.NotFound(w, r)
		return
	}
	from, err := strconv.ParseInt(r.URL.Query().Get("from"), 10, 64)
	if err != nil {
		from = 0
	}
	ctx, cancel := us.l.awaiting(r)
	defer cancel()
	part := transfer.Part{Path: f.Path, Size: f.Size, From: from}
	if f.Modified > 0 {
		part.ModTime = time.UnixMilli(f.Modified)
	}
	if from == f.Size && in.Complete(f.Path) { // the answer to the last part was lost
		reply(w, http.StatusOK, struct{}{})
		return
	}
	_, err = in.Receive(ctx, part, us.l.stallGuard(w, r))
	up.setFailure(f.Path, err)
	if err != nil {
		w.Header().Set("Connection", "close") // the rest of the body is not read
		refuse(w, statusOf(err), codeOf(err))
		return
	}
	reply(w, http.StatusOK, struct{}{})
}

// setFailure records why a file could not be stored, in case the page does not send it again; nil means that it was
// stored.
func (up *upload) setFailure(path string, err error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	switch {
	case up.state != accepted:
	case err == nil:
		delete(up.failed, path)
	case up.failed == nil:
		up.failed = map[string]error{path: err}
	default:
		up.failed[path] = err
	}
}

// reasons are the errors that the page explains.
var reasons = []struct {
	err    error
	code   string
	status int
}{
	{transfer.ErrInterrupted, "interrupted", http.StatusBadRequest},
	{transfer.ErrProtocol, "interrupted", http.StatusBadRequest},
	{transfer.ErrPartBusy, "busy", http.StatusConflict},
	{transfer.ErrDiskFull, "disk-full", http.StatusInsufficientStorage},
	{transfer.ErrTooMuch, "too-much", http.StatusRequestEntityTooLarge},
	{transfer.ErrFileTooLarge, "too-large", http.StatusRequestEntityTooLarge},
	{transfer.ErrBadName, "bad-name", http.StatusBadRequest},
	{transfer.ErrTooLong, "bad-name", http.StatusBadRequest},
	{transfer.ErrNameRefused, "bad-name", http.StatusBadRequest},
	{transfer.ErrCancelled, "ended", http.StatusGone},
	{errDeclined, "declined", http.StatusForbidden},
	{errTooMany, "busy", http.StatusTooManyRequests},
}

func codeOf(err error) string {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.code
		}
	}
	return "failed"
}

// isExplained reports whether the page explains an error.
func isExplained(err error) bool { return codeOf(err) != "failed" }

func statusOf(err error) int {
	for _, r := range reasons {
		if errors.Is(err, r.err) {
			return r.status
		}
	}
	return http.StatusInternalServerError
}

// finish ends an upload, and responds when everything that has arrived is durable.
func (us *uploads) finish(w http.ResponseWriter, r *http.Request, v Visitor, id string) {
	up := us.of(v, id)
	if up == nil {
		http.NotFound(w, r)
		return
	}
	select {
	case <-up.decided:
	default:
		refuse(w, http.StatusConflict, waiting)
		return
	}
	up.end()
	problem, arrived := up.outcome()
	reply(w, http.StatusOK, map[string]any{"files": arrived, "error": problem})
}

// cancel withdraws an upload that waits for an answer, or ends an accepted one.
func (us *uploads) cancel(w http.ResponseWriter, v Visitor, id string) {
	if up := us.of(v, id); up != nil {
		up.stop()
		<-up.decided
		up.end()
	}
	reply(w, http.StatusOK, struct{}{})
}

// takeForm receives the files of a plain form, for browsers without JavaScript. Their sizes are unknown, and their
// names arrive one by one: the question to the person shows the first name, before any content is read.
func (us *uploads) takeForm(w http.ResponseWriter, r *http.Request, v Visitor) {
	if !us.l.visitors.mayAnnounce(v) || !us.startParsing(v) {
		w.Header().Set("Connection", "close")
		us.l.page(w, r, http.StatusTooManyRequests, pageData{Problem: "busy"})
		return
	}
	content := us.l.stallGuard(w, r)
	body := &formBody{ReadCloser: content}
	r.Body = body
	eachRead := content.again
	content.again = func() {} // one deadline for the beginning: otherwise a slow visitor could keep its place
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(us.l.opts.stalls / 2))
	reader, err := r.MultipartReader()
	if err != nil {
		us.endParsing(v)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	part, name, err := body.nextFile(reader)
	us.endParsing(v)
	content.again = eachRead
	if err != nil { // no file was chosen
		w.Header().Set("Connection", "close")
		http.Redirect(w, r, "./", http.StatusSeeOther)
		return
	}
	view := Upload{Visitor: v, Names: []string{name}, Items: 1, Files: MaxFormFiles, Bytes: transfer.Unknown}
	up, err := us.begin(rand.Text(), view, []offeredFile{{Path: name, Size: r.ContentLength}}, true)
	if err != nil {
		us.l.page(w, r, http.StatusTooManyRequests, pageData{Problem: "busy"})
		return
	}
	ctx, cancel := us.l.awaiting(r)
	defer cancel()
	if !up.awaitDecision(ctx) {
		w.Header().Set("Connection", "close")
		us.l.page(w, r, http.StatusForbidden, pageData{Problem: "declined"})
		return
	}
	up.mu.Lock()
	in := up.intake
	up.mu.Unlock()
	if in == nil { // the link has just closed
		w.Header().Set("Connection", "close")
		us.l.page(w, r, http.StatusGone, pageData{Problem: "ended"})
		return
	}
	names := map[string]bool{}
	for err == nil {
		name = unusedName(names, name)
		_, err = in.Receive(ctx, transfer.Part{Path: name, Size: transfer.Unknown}, part)
		if err != nil {
			in.LeaveOut(name, err)
			break
		}
		part, name, err = body.nextFile(reader)
	}
	up.formEnded(formError(err))
	up.end()
	problem, arrived := up.outcome()
	if problem != "" {
		w.Header().Set("Connection", "close")
	}
	us.l.page(w, r, http.StatusOK, pageData{Problem: problem, Arrived: arrived})
}

// unusedName returns a name that no earlier file of a form has, and adds it to names: phones give several pictures the
// same name.
func unusedName(names map[string]bool, name string) string {
	unused, ext := name, path.Ext(name)
	for n := 2; names[unused]; n++ {
		unused = fmt.Sprintf("%s (%d)%s", strings.TrimSuffix(name, ext), n, ext)
	}
	names[unused] = true
	return unused
}

// formError returns why not all files of a form have arrived. err is the error that ended the form. A form that ends
// without its last boundary has an error that wraps io.EOF.
func formError(err error) error {
	switch {
	case err == io.EOF: //nolint:errorlint // see above
		return nil
	case isExplained(err):
		return err
	}
	return fmt.Errorf("%w: %w", transfer.ErrInterrupted, err)
}

// awaitDecision waits for the answer. It returns false if the answer is no.
func (up *upload) awaitDecision(ctx context.Context) bool {
	tick := time.NewTicker(askedFor / 2)
	defer tick.Stop()
	ctx, cancel := context.WithTimeout(ctx, formFor)
	defer cancel()
	for {
		select {
		case <-up.decided:
			up.mu.Lock()
			defer up.mu.Unlock()
			return up.state == accepted
		case <-tick.C:
			up.asked()
		case <-ctx.Done():
			up.stop()
			<-up.decided
			up.end()
			return false
		}
	}
}

// formBody is the body of a form. Outside of files it may contain at most maxFormHead bytes: mime/multipart would
// accept headers of 10 MB.
type formBody struct {
	io.ReadCloser
	inFile bool
	left   int64
}

// maxFormHead limits the bytes between two files of a form, including those read ahead from the second file.
const maxFormHead = 64 << 10

func (b *formBody) Read(p []byte) (int, error) {
	if b.inFile {
		return b.ReadCloser.Read(p)
	}
	if b.left <= 0 { // guard: web-form-head
		return 0, transfer.ErrTooLong
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), 4096)])
	b.left -= int64(n)
	return n, err
}

// nextFile returns the next file of a form. Browsers send a part without a name for a field without a file.
func (b *formBody) nextFile(reader *multipart.Reader) (*multipart.Part, string, error) {
	b.inFile, b.left = false, maxFormHead
	defer func() { b.inFile = true }()
	for {
		part, err := reader.NextPart()
		if err != nil {
			return nil, "", err
		}
		_, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
		if err != nil {
			return nil, "", transfer.ErrProtocol
		}
		if params["name"] != "files" || params["filename"] == "" {
			continue
		}
		name := path.Base(strings.ReplaceAll(params["filename"], `\`, "/"))
		switch {
		case len(name) > transfer.MaxPath: // guard: web-form-name
			return nil, "", transfer.ErrTooLong
		case name == "." || name == "/":
			return nil, "", transfer.ErrBadName
		}
		return part, name, nil
	}
}
