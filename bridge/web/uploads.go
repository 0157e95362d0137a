package web

import (
	"context"
	"errors"
	"sync"
	"time"

	"multipeer/transfer"
)

// Limits on uploads.
const (
	maxOffer          = 16 << 20 // bytes of JSON
	maxOfferedFiles   = 100_000
	maxOfferedFolders = 20_000
	maxParsing        = 4  // announcements that are read at once, one per visitor
	maxAsking         = 3  // uploads that wait for an answer, from all visitors
	maxOpen           = 8  // accepted uploads that are not finished, from all visitors
	maxOpenOfOne      = 4  // uploads from one visitor that wait or are not finished
	keptEnded         = 64 // ended uploads that the page may still query
	shownNames        = 20
	// askedFor is how long the page may go without polling for the answer before its visitor counts as gone, pollFor
	// how long one poll is held, and staleFor how long an accepted upload may stay without data.
	askedFor = time.Minute
	pollFor  = 25 * time.Second
	staleFor = 10 * time.Minute
	// formFor is how long a form waits for its answer: net/http does not detect that its sender has disconnected.
	formFor = 3 * time.Minute
)

// MaxFormFiles is how many files an Upload of unknown size may contain.
const MaxFormFiles = 100

// The states of an upload.
const (
	waiting  = "waiting"
	accepted = "accepted"
	declined = "declined"
	finished = "finished"
)

// uploads holds the uploads of the visitors of a link.
type uploads struct {
	l  *Link
	mu sync.Mutex
	// seen is what ended uploads have received through the link.
	seen    transfer.Totals
	count   int
	byID    map[string]*upload
	missing missingFiles
	ended   []string // their IDs, oldest first
	asking  int
	open    int

	parsing map[int]bool // the visitors whose announcement is being read; each may take a lot of memory
}

// upload is one upload of a visitor.
type upload struct {
	u     *uploads
	id    string
	view  Upload
	files []offeredFile // nil after the upload has ended; of a form only the first file, whose Size is that of the form
	form  bool
	waits bool            // for an answer; guarded by uploads.mu, as open is
	open  bool            // accepted and not ended
	got   transfer.Totals // the files and bytes that have arrived; guarded by uploads.mu
	stop  context.CancelFunc

	mu      sync.Mutex
	state   string
	decided chan struct{} // closed when the state is no longer waiting
	intake  *transfer.Intake
	timer   *time.Timer // ends the upload if no data arrives
	last    time.Time   // of the last progress event
	done    chan struct{}
	failed  map[string]error // why files could not be stored, by path
	broken  error            // why not all files of a form have arrived; nil if they have
	result  transfer.Result
	err     error
}

// offeredFile is a file that a page has announced.
type offeredFile struct {
	Path     string `json:"path"`
	Size     int64  `json:"size"`
	Modified int64  `json:"modified"` // milliseconds since 1970
}

func newUploads(l *Link) uploads {
	return uploads{l: l, byID: map[string]*upload{}, parsing: map[int]bool{}}
}

// startParsing reports whether an announcement of a visitor may be read now. If so, the caller must call endParsing.
func (us *uploads) startParsing(v Visitor) bool {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.parsing[v.Number] || len(us.parsing) >= maxParsing { // guard: web-parsing
		return false
	}
	us.parsing[v.Number] = true
	return true
}

func (us *uploads) endParsing(v Visitor) {
	us.mu.Lock()
	defer us.mu.Unlock()
	delete(us.parsing, v.Number)
}

var (
	errTooMany  = errors.New("too many uploads are waiting for an answer")
	errDeclined = errors.New("declined")
)

// begin registers an upload, and asks about it in the background.
func (us *uploads) begin(id string, view Upload, files []offeredFile, form bool) (*upload, error) {
	us.mu.Lock()
	defer us.mu.Unlock()
	if us.asking >= maxAsking || us.open >= maxOpen { // guard: web-asking
		return nil, errTooMany
	}
	if us.activeOfLocked(view.Visitor) >= maxOpenOfOne { // guard: web-asking-of-one
		return nil, errTooMany
	}
	if !us.l.visitors.mayAsk(view.Visitor) { // guard: web-asks
		return nil, errTooMany
	}
	if !us.l.enter() {
		return nil, us.l.Err()
	}
	us.asking++
	us.count++
	view.Number = us.count
	ctx, cancel := context.WithCancel(us.l.ctx)
	up := &upload{u: us, id: id, view: view, files: files, form: form, stop: cancel, state: waiting, decided: make(chan struct{}), done: make(chan struct{})}
	up.waits = true
	if up.form {
		up.broken = transfer.ErrInterrupted // until the end of the form is read
	}
	us.byID[id] = up
	up.timer = time.AfterFunc(askedFor, cancel)
	go func() {
		defer us.l.handlers.Done()
		up.ask(ctx)
	}()
	return up, nil
}

// ask asks the program, and opens the folder if the upload is accepted.
func (up *upload) ask(ctx context.Context) {
	us := up.u
	var err error
	if us.l.opts.Ask != nil {
		err = us.l.opts.Ask(ctx, up.view)
		if ctx.Err() == nil {
			us.l.visitors.answered(up.view.Visitor, err == nil)
		}
	}
	if err == nil && ctx.Err() != nil {
		err = errDeclined
	}
	us.mu.Lock()
	us.asking--
	up.waits = false
	if err == nil {
		us.open++
		up.open = true
	}
	us.mu.Unlock()
	if err == nil {
		err = up.openIntake()
		if err != nil {
			us.mu.Lock()
			us.open--
			up.open = false
			us.mu.Unlock()
			us.missing.update(up.view.Visitor, up.files, func(string) bool { return true })
			us.l.report(Received{up.view, transfer.Result{}, err})
		}
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	if err != nil {
		up.state, up.err = declined, err
		up.files = nil
		up.timer.Stop()
		close(up.decided)
		close(up.done)
		us.forgetLater(up)
		return
	}
	up.state = accepted
	up.timer.Stop()
	up.timer = time.AfterFunc(staleFor, up.end)
	close(up.decided)
}

func (up *upload) openIntake() error {
	in, err := transfer.OpenIntake(transfer.IntakeOptions{
		Dir: up.u.l.opts.Dir, Place: up.u.l.place, Reserve: up.u.l.opts.Reserve, Most: up.most, OnProgress: up.progress,
	})
	if err != nil {
		return err
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	up.intake = in
	return nil
}

// most returns how much may arrive: the accepted totals, within the remaining limit of the link.
func (up *upload) most() transfer.Totals {
	const huge = 1 << 62
	t := transfer.Totals{Files: up.view.Files, Folders: up.view.Folders, Bytes: up.view.Bytes}
	if up.view.Bytes == transfer.Unknown {
		t.Bytes = huge
	}
	limit := up.u.l.opts.Most
	us := up.u
	us.mu.Lock()
	defer us.mu.Unlock()
	others := us.seen
	for _, other := range us.byID { // uploads in progress count as announced, or as arrived if that is more
		if other != up && other.open {
			others.Files += max(other.got.Files, announced(other.view.Files, other.form))
			others.Bytes += max(other.got.Bytes, announced(other.view.Bytes, other.form))
		}
	}
	if limit.Files > 0 {
		t.Files = min(t.Files, limit.Files-others.Files)
		t.Folders = min(t.Folders, limit.Files)
	}
	if limit.Bytes > 0 {
		t.Bytes = min(t.Bytes, limit.Bytes-others.Bytes)
	}
	return t
}

// announced returns the announced count n, or 0 for a form, which announces nothing.
func announced(n int64, form bool) int64 {
	if form {
		return 0
	}
	return n
}

// activeOfLocked counts the uploads of a visitor that have not ended.
func (us *uploads) activeOfLocked(v Visitor) (n int) {
	for _, up := range us.byID {
		if up.view.Visitor.Number == v.Number && (up.open || up.waits) {
			n++
		}
	}
	return n
}

// forgetLater keeps an ended upload, so that the page can query its result. The number of these is limited.
func (us *uploads) forgetLater(up *upload) {
	us.mu.Lock()
	defer us.mu.Unlock()
	us.ended = append(us.ended, up.id)
	if len(us.ended) > keptEnded {
		delete(us.byID, us.ended[0])
		us.ended = us.ended[1:]
	}
}

// progress reports how much has arrived.
func (up *upload) progress(p transfer.Progress) {
	up.u.l.touch()
	up.u.mu.Lock()
	up.got = transfer.Totals{Files: p.Files, Bytes: p.Bytes}
	up.u.mu.Unlock()
	up.mu.Lock()
	late := time.Since(up.last) < 100*time.Millisecond
	if !late {
		up.last = time.Now()
	}
	if up.state == accepted {
		up.timer.Reset(staleFor)
	}
	up.mu.Unlock()
	if !late {
		up.u.l.report(Progress{up.view, p.Bytes, p.Files})
	}
}

// asked records that the page still waits for the answer.
func (up *upload) asked() {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.state == waiting {
		up.timer.Reset(askedFor)
	}
}

// formEnded records why a form ended before all of its files had arrived; nil if they all arrived.
func (up *upload) formEnded(why error) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.broken = why
}

// outcome returns the code of what went wrong, or "", and how many files have arrived. The upload has ended.
func (up *upload) outcome() (problem string, arrived int64) {
	up.mu.Lock()
	defer up.mu.Unlock()
	if up.err != nil {
		problem = codeOf(up.err)
	}
	return problem, up.result.Files
}

// end makes everything that has arrived durable, closes the upload and returns what has arrived. It is idempotent.
func (up *upload) end() {
	up.mu.Lock()
	if up.state != accepted {
		up.mu.Unlock()
		<-up.done
		return
	}
	up.state = finished
	up.timer.Stop()
	in, files, failed := up.intake, up.files, up.failed
	up.files, up.intake, up.failed = nil, nil, nil
	up.mu.Unlock()
	up.stop()
	cause := error(transfer.ErrInterrupted) // why the files that are missing did not arrive
	lost := map[string]bool{}
	for _, f := range files {
		if up.form || in.Complete(f.Path) {
			continue
		}
		why := failed[f.Path]
		if why == nil {
			why = transfer.ErrInterrupted
		}
		if errors.Is(cause, transfer.ErrInterrupted) {
			cause = why
		}
		in.LeaveOut(f.Path, why)
		lost[f.Path] = true
	}
	result, err := in.Finish()
	in.Close()
	us := up.u
	us.mu.Lock()
	us.open--
	up.open = false
	us.seen.Files += result.Files
	us.seen.Bytes += result.Bytes
	us.mu.Unlock()
	up.mu.Lock()
	missing := int64(len(files)) - result.Files
	switch {
	case err != nil:
	case up.form:
		err = up.broken
		if err == nil && result.LeftOut > 0 {
			err = leftOutBecause(result)
		}
	case missing > 0:
		result.LeftOut = max(result.LeftOut, missing)
		err = cause
	}
	up.result, up.err = result, err
	up.mu.Unlock()
	for _, n := range result.Notes {
		if n.LeftOut() {
			lost[n.Path] = true
		}
	}
	unnamed := up.form || len(lost) == 0 || missing > int64(len(lost)) // it is not known which files are lost
	us.missing.update(up.view.Visitor, files, func(path string) bool { return lost[path] || err != nil && unnamed })
	us.l.report(Received{up.view, result, err})
	close(up.done)
	us.forgetLater(up)
}

// leftOutBecause returns why the first file that was left out could not be stored.
func leftOutBecause(result transfer.Result) error {
	for _, n := range result.Notes {
		if n.LeftOut() {
			return n.Err
		}
	}
	return transfer.ErrInterrupted
}

// finishAll ends all uploads.
func (us *uploads) finishAll() {
	us.mu.Lock()
	var all []*upload
	for _, up := range us.byID {
		all = append(all, up)
	}
	us.mu.Unlock()
	for _, up := range all {
		up.stop()
		<-up.decided
		up.end()
	}
}

// of returns a visitor's upload.
func (us *uploads) of(v Visitor, id string) *upload {
	us.mu.Lock()
	defer us.mu.Unlock()
	up := us.byID[id]
	if up != nil && up.view.Visitor.Number != v.Number { // guard: web-own-upload
		return nil
	}
	return up
}
