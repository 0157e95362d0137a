package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"

	"multipeer/internal/storezip"
	"multipeer/transfer"
)

// share holds the files that a link offers for download.
type share struct {
	listing *transfer.Listing
	files   []sharedFile
	folders []string
	archive *storezip.Archive
	name    string          // of the archive
	leftOut int             // entries that cannot be shared
	notes   []transfer.Note // the first of them
	tag     string          // ETag of the archive
	sent    progress        // what visitors have downloaded
}

// sharedFile is a file as it was when the link was opened.
type sharedFile struct {
	path    string
	size    int64
	modTime time.Time
	state   uint64 // see transfer.StateOf
}

// unchanged reports whether an open file is still in the state in which it was shared.
func (f sharedFile) unchanged(file *os.File) bool {
	info, err := file.Stat()
	return err == nil && transfer.StateOf(info) == f.state
}

// openFile is a shared file that is being read. Read fails if the file has changed since it was shared. The last part of
// every requested range goes through Read (see fileWriter), so a range that is complete never holds another version:
// browsers may combine ranges that they load in parallel.
type openFile struct {
	*os.File
	shared sharedFile
}

func (o *openFile) Read(b []byte) (int, error) {
	n, err := o.File.Read(b)
	if n > 0 && !o.shared.unchanged(o.File) { // guard: web-changed
		return 0, &transfer.Failure{Path: o.shared.path, Err: transfer.ErrChanged}
	}
	return n, err
}

// maxNotes limits the entries whose names and reasons are kept.
const maxNotes = 1000

// leaveOut records an entry that is not shared.
func (s *share) leaveOut(path string, why error) {
	s.leftOut++
	if len(s.notes) < maxNotes {
		s.notes = append(s.notes, transfer.Note{Path: path, Err: why})
	}
}

// maxShared limits the files of a link: the page lists them all.
const maxShared = 100_000

// newShare lists the files at paths. Errors contain the paths that cannot be read.
func newShare(ctx context.Context, paths []string) (*share, error) {
	listing, err := transfer.NewListing(paths, transfer.ListOptions{})
	if err != nil {
		return nil, err
	}
	if _, err := listing.Fill(ctx, nil); err != nil {
		return nil, err
	}
	s := &share{listing: listing}
	var entries []storezip.File
	names := zipNames{}
	for e, err := range listing.Entries(ctx) {
		switch {
		case err != nil:
			return nil, err
		case len(entries) >= maxShared:
			return nil, fmt.Errorf("there are more than %d entries; share fewer, or send them with Multipeer", maxShared)
		case e.Err != nil:
			s.leaveOut(e.Path, e.Err)
		case e.Folder:
			s.folders = append(s.folders, e.Path)
			entries = append(entries, storezip.File{Name: names.of(e.Path, "/"), ModTime: time.Now()})
		default:
			f, err := s.add(e.Path)
			if err != nil {
				s.leaveOut(e.Path, err)
				continue
			}
			entries = append(entries, storezip.File{
				Name: names.of(f.path, ""), Size: f.size, ModTime: f.modTime, Open: func() (io.ReadCloser, error) { return s.open(f) },
			})
		}
	}
	if len(s.files) == 0 && len(s.folders) == 0 {
		return nil, fmt.Errorf("none of %q can be read; check that the files exist and that you have permission to read them", paths)
	}
	s.archive = storezip.New(entries)
	parts := make([]any, 0, 3*len(s.files))
	for _, f := range s.files {
		parts = append(parts, f.path, f.size, f.modTime.UnixNano())
	}
	s.tag = tag(parts...)
	top, _, _ := strings.Cut(entries[0].Name, "/")
	s.name = top + ".zip"
	if len(paths) > 1 {
		s.name = "files.zip"
	}
	return s, nil
}

func (s *share) add(path string) (sharedFile, error) {
	file, info, err := s.listing.Open(path)
	if err != nil {
		return sharedFile{}, err
	}
	_ = file.Close()
	f := sharedFile{path, info.Size(), info.ModTime(), transfer.StateOf(info)}
	s.files = append(s.files, f)
	return f, nil
}

// zipName returns the name of an entry in the archive: unpackers on Windows treat a backslash as a separator, and all
// unpackers expect UTF-8.
func zipName(path string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(path, "_"), `\`, "_")
}

// zipNames are the names that an archive has already. Two paths can get the same name, and unpackers keep only one entry
// of each name. The value is the last number that was given to an entry of that name.
type zipNames map[string]int

// of returns the name of an entry, followed by end. It is numbered if another entry has it.
func (z zipNames) of(file, end string) string {
	plain := zipName(file)
	ext := path.Ext(plain)
	name := plain
	for n := max(2, z[plain]+1); z[name] > 0; n++ {
		name = strings.TrimSuffix(plain, ext) + fmt.Sprintf(" (%d)", n) + ext
		z[plain] = n
	}
	z[name] = max(z[name], 1)
	return name + end
}

// open opens a shared file if it is still the same file.
func (s *share) open(f sharedFile) (*openFile, error) {
	file, info, err := s.listing.Open(f.path)
	if err != nil {
		return nil, &transfer.Failure{Path: f.path, Err: err}
	}
	if transfer.StateOf(info) != f.state {
		_ = file.Close()
		return nil, &transfer.Failure{Path: f.path, Err: transfer.ErrChanged}
	}
	return &openFile{file, f}, nil
}

// tag returns a strong ETag (RFC 9110 section 8.8.3): browsers resume a broken download only with one.
func tag(parts ...any) string {
	sum := sha256.Sum256([]byte(fmt.Sprint(parts...)))
	return `"` + hex.EncodeToString(sum[:16]) + `"`
}

// disposition returns the Content-Disposition of a download, for browsers with and without support for RFC 6266. Files
// are never displayed in the browser.
func disposition(name string) string {
	plain := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || strings.ContainsRune(`"\%;`, r) {
			return '_'
		}
		return r
	}, name)
	return fmt.Sprintf(`attachment; filename="%s"; filename*=UTF-8''%s`, plain, strings.ReplaceAll(url.QueryEscape(name), "+", "%20"))
}

// serveFile serves one file, or a range of it.
func (s *share) serveFile(l *Link, w http.ResponseWriter, r *http.Request, v Visitor, number string) {
	n, err := strconv.Atoi(number)
	if err != nil || n < 0 || n >= len(s.files) || strconv.Itoa(n) != number { // guard: web-file-number
		http.NotFound(w, r)
		return
	}
	f := s.files[n]
	file, err := s.open(f)
	if err != nil {
		l.notSent(v, n, path.Base(f.path), err)
		http.Error(w, "This file was changed or removed after the link was created.", http.StatusGone)
		return
	}
	defer file.Close()
	name := path.Base(f.path)
	w.Header().Set("ETag", tag(f.path, f.size, f.modTime.UnixNano()))
	l.download(w, r, v, n, name, f.modTime, f.size, file)
}

// serveArchive serves everything as one ZIP archive, or a range of it.
func (s *share) serveArchive(l *Link, w http.ResponseWriter, r *http.Request, v Visitor) {
	ctx, cancel := l.awaiting(r)
	defer cancel()
	archive := s.archive.NewReader(ctx)
	defer archive.Close()
	w.Header().Set("ETag", s.tag)
	l.download(w, r, v, wholeArchive, s.name, time.Time{}, s.archive.Size(), archive)
}

// wholeArchive is the number of the archive among the downloads. Files are numbered from 0.
const wholeArchive = -1

// download serves content as a file to save, and reports when the visitor has received all of it.
func (l *Link) download(w http.ResponseWriter, r *http.Request, v Visitor, number int, name string, modTime time.Time, size int64, content io.ReadSeeker) {
	l.downloads.Add(1)
	defer l.downloads.Add(-1)
	kind := mime.TypeByExtension(path.Ext(name))
	if !strings.HasPrefix(kind, "image/") && !strings.HasPrefix(kind, "video/") { // phones offer to store these with their photos
		kind = "application/octet-stream"
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", disposition(name))
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // net/http ends a request at this deadline even if data is flowing
	watched := &watchedReader{ReadSeeker: content, moved: func() {
		l.touch()
		_ = control.SetWriteDeadline(time.Now().Add(l.opts.stalls))
	}}
	if strings.Contains(r.Header.Get("Range"), ",") { // browsers never request several ranges of a download
		r.Header.Del("Range")
	}
	http.ServeContent(&fileWriter{w}, r, "", modTime, watched)
	if r.Method == http.MethodGet {
		_ = control.Flush()
		notArrived := l.awaitArrival(r, watched.pos-watched.from)
		if l.share.sent.whole(download{v.Number, number}, watched, size, notArrived) {
			l.report(Sent{v, name, size})
		}
	}
	if watched.failed != nil {
		l.notSent(v, number, name, watched.failed)
	}
}

// notSent reports a download that cannot succeed, at most once a minute: browsers try again by themselves.
func (l *Link) notSent(v Visitor, number int, name string, err error) {
	if l.share.sent.failedAgain(download{v.Number, number}) { // guard: web-not-sent
		return
	}
	l.report(NotSent{v, name, err})
}

// progress records which parts of each download a visitor has. It has at most one entry for each file and visitor.
type progress struct {
	mu       sync.Mutex
	has      map[download]spans
	reported map[download]time.Time
	failed   map[download]time.Time
}

// download identifies a download: a file by its number, or wholeArchive. Files in different folders may have the same
// name.
type download struct{ visitor, number int }

// whole adds bytes that were read for a visitor, except for those that have not arrived, and reports whether the visitor
// has everything now. A repeated download is reported at most once a minute.
func (p *progress) whole(d download, read *watchedReader, size, notArrived int64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.has == nil {
		p.has, p.reported = map[download]spans{}, map[download]time.Time{}
	}
	p.has[d] = p.has[d].with(read.from, read.pos-notArrived)
	if !p.has[d].cover(size) || size > 0 && !read.read {
		return false
	}
	delete(p.has, d) // a later download starts from zero

	if time.Since(p.reported[d]) < time.Minute { // guard: web-sent
		return false
	}
	p.reported[d] = time.Now()
	return true
}

// failedAgain reports whether a failure of a download was reported less than a minute ago.
func (p *progress) failedAgain(d download) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.failed[d]) < time.Minute {
		return true
	}
	if p.failed == nil {
		p.failed = map[download]time.Time{}
	}
	p.failed[d] = time.Now()
	return false
}

// watchedReader records how far it has been read.
type watchedReader struct {
	io.ReadSeeker
	moved func()
	from  int64 // where reading began
	pos   int64
	read  bool
	// failed is why reading has failed; nil if it has not.
	failed error
}

func (w *watchedReader) Read(b []byte) (int, error) {
	w.moved()
	n, err := w.ReadSeeker.Read(b) // it may take a while: an archive computes checksums
	w.moved()
	w.advance(int64(n))
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, context.Canceled) {
		w.failed = err
	}
	return n, err
}

// advance records that n bytes were read.
func (w *watchedReader) advance(n int64) {
	if !w.read {
		w.from = w.pos
	}
	w.pos += n
	w.read = w.read || n > 0
}

// filePart is how much of a file is passed to the system at once. Each part has a deadline, so a visitor has to accept
// 9 kB per second.
const filePart = 512 << 10

// fileWriter passes a file to the connection without copying it through this program, if the system can do that
// (sendfile). It is used with a watchedReader.
type fileWriter struct{ http.ResponseWriter }

// ReadFrom implements io.ReaderFrom.
func (w *fileWriter) ReadFrom(src io.Reader) (total int64, err error) {
	limited, watched, file := fileIn(src)
	if file == nil { // the archive
		return io.Copy(struct{ io.Writer }{w.ResponseWriter}, src)
	}
	for limited.N > 0 {
		watched.moved()
		if limited.N <= filePart { // the last part: openFile checks it
			n, err := io.Copy(struct{ io.Writer }{w.ResponseWriter}, limited)
			return total + n, err
		}
		n, err := io.CopyN(w.ResponseWriter, file.File, filePart)
		watched.advance(n)
		limited.N -= n
		total += n
		if errors.Is(err, io.EOF) { // it has become shorter
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// fileIn returns the file that src reads, through a watchedReader; nil if it reads something else.
func fileIn(src io.Reader) (*io.LimitedReader, *watchedReader, *openFile) {
	limited, _ := src.(*io.LimitedReader)
	if limited == nil {
		return nil, nil, nil
	}
	watched, _ := limited.R.(*watchedReader)
	if watched == nil {
		return nil, nil, nil
	}
	file, _ := watched.ReadSeeker.(*openFile)
	return limited, watched, file
}

func (w *watchedReader) Seek(offset int64, whence int) (int64, error) {
	pos, err := w.ReadSeeker.Seek(offset, whence)
	w.pos = pos
	return pos, err
}
