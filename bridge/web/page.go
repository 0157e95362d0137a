package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"path"
	"strings"
	"time"
	"unicode"
)

//go:embed assets
var assets embed.FS

var pageTemplate = template.Must(template.ParseFS(assets, "assets/page.html"))

// maxListed limits the files that the page lists one by one; the archive contains all of them.
const maxListed = 1000

// pageData is the data of the page template.
type pageData struct {
	Closed   bool // the visitor has not opened the link
	Over     bool // the link has closed
	WrongPIN bool
	InUse    bool
	Problem  string // a code from reasons
	Arrived  int64  // number of files received through a form
	SaidText bool

	Title       string
	Hint        string
	ProblemText string
	ArrivedText string

	Lang      string
	T         map[string]string
	Name      string
	NeedsPIN  bool
	Encrypted bool
	Receives  bool
	Text      string
	Archive   string // its name; empty if there is only one file
	Total     string
	Files     []listedFile
	More      string // the note about files that are not listed
	LeftOut   string
}

type listedFile struct {
	Number int
	Name   string
	Folder string
	Size   string
}

// page writes the page.
func (l *Link) page(w http.ResponseWriter, r *http.Request, status int, d pageData) {
	d.Lang = languageOf(r.Header.Get("Accept-Language"))
	d.T = texts[d.Lang]
	d.Name = visible(l.opts.Name)
	d.Title, d.Hint = d.text("title"), d.text("closed-hint")
	if d.Problem != "" {
		d.ProblemText = d.text(d.Problem)
	}
	if d.Arrived > 0 {
		d.ArrivedText = strings.ReplaceAll(d.text("arrived"), "{n}", fmt.Sprint(d.Arrived))
	}
	d.NeedsPIN = l.opts.PIN != ""
	d.Encrypted = r.TLS != nil
	if !d.Closed {
		d.Receives = l.opts.Dir != ""
		d.Text = l.opts.Text
		l.share.describe(&d)
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(l.opts.stalls)) // the request may have waited
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Language", d.Lang)
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(b.Bytes()) // the visitor may have disconnected
	}
}

// text returns a string of the page in its language.
func (d *pageData) text(key string) string {
	t, known := d.T[key]
	if !known {
		t = d.T["failed"]
	}
	return strings.ReplaceAll(t, "{name}", d.Name)
}

// describe adds the shared files to the page.
func (s *share) describe(d *pageData) {
	if s == nil {
		return
	}
	for i, f := range s.files[:min(len(s.files), maxListed)] {
		folder, name := path.Split(f.path)
		d.Files = append(d.Files, listedFile{i, visible(name), visible(strings.TrimSuffix(folder, "/")), size(f.size)})
	}
	if more := len(s.files) - maxListed; more > 0 {
		d.More = strings.ReplaceAll(d.T["more"], "{n}", fmt.Sprint(more))
	}
	if s.leftOut > 0 {
		d.LeftOut = strings.ReplaceAll(d.T["left-out"], "{n}", fmt.Sprint(s.leftOut))
	}
	if len(s.files) > 1 || len(s.folders) > 0 {
		d.Archive = s.name
		d.Total = size(s.archive.Size())
	}
}

// visible replaces characters of a name that are invisible or change the direction of the text around it.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
			return '�'
		}
		return r
	}, s)
}

// size formats a number of bytes, in decimal units.
func size(n int64) string {
	units := []string{"kB", "MB", "GB", "TB"}
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f := float64(n)
	for _, u := range units {
		f /= 1000
		if f < 999.5 || u == "TB" {
			if f < 9.95 {
				return fmt.Sprintf("%.1f %s", f, u)
			}
			return fmt.Sprintf("%.0f %s", f, u)
		}
	}
	return ""
}

// serveAsset serves the script or the style sheet.
func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	b, err := assets.ReadFile("assets/" + name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	if name == "app.js" {
		lang := languageOf(r.Header.Get("Accept-Language"))
		b = append(scriptTexts(lang), b...)
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
}
