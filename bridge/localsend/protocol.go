package localsend

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"multipeer/engine"
	"multipeer/engine/gateway"
	"multipeer/transfer"
)

const (
	protocolVersion = "2.1"
	schemeTLS       = "https"
	schemePlain     = "http"
	apiPath         = "/api/localsend/v2/"
)

// Limits on what a device may send.
const (
	maxInfo    = 8 << 10 // bytes of a description
	maxAlias   = 1 << 10 // bytes of a name in an offer
	maxTokens  = 1 << 10 // bytes of the ID of a session, and of a token
	maxPrepare = 4 << 20 // bytes of an offer
	maxFiles   = 10_000
	maxFolders = 20_000
	maxSize    = 1 << 48 // bytes of a file; the sum for all files fits into 63 bits
)

// deviceInfo is a device's description of itself.
type deviceInfo struct {
	Alias        string `json:"alias"`
	Version      string `json:"version"`
	DeviceModel  string `json:"deviceModel,omitempty"`
	DeviceType   string `json:"deviceType,omitempty"`
	Fingerprint  string `json:"fingerprint"`
	Port         int    `json:"port,omitempty"`
	Protocol     string `json:"protocol,omitempty"`
	Download     bool   `json:"download"`
	Announce     bool   `json:"announce,omitempty"`
	Announcement bool   `json:"announcement,omitempty"` // its name in version 1 of the protocol

	seen string // the fingerprint of the certificate that it was received with
}

// encrypted reports whether the device uses TLS.
func (i deviceInfo) encrypted() bool { return i.Protocol != schemePlain }

// parseInfo parses a description. Nothing in it is verified.
func parseInfo(r io.Reader) (deviceInfo, error) {
	var i deviceInfo
	if err := json.NewDecoder(io.LimitReader(r, maxInfo)).Decode(&i); err != nil {
		return i, err
	}
	i.Fingerprint = strings.ToUpper(i.Fingerprint)
	if i.Alias == "" || i.Version == "" {
		return i, errors.New("the device description lacks an alias or a version")
	}
	return i, nil
}

// fileInfo is a file that is offered.
type fileInfo struct {
	ID       string        `json:"id"`
	FileName string        `json:"fileName"` // with slashes, if it is in a folder
	Size     int64         `json:"size"`
	FileType string        `json:"fileType"` // a MIME type
	SHA256   string        `json:"sha256,omitempty"`
	Preview  *string       `json:"preview,omitempty"` // the whole text, for a text message
	Metadata *fileMetadata `json:"metadata,omitempty"`
}

type fileMetadata struct {
	Modified string `json:"modified,omitempty"`
}

// modified returns the modification time; zero if it is missing or out of range.
func (f fileInfo) modified() time.Time {
	if f.Metadata == nil {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, f.Metadata.Modified)
	if err != nil || t.Before(time.Unix(0, 0)) || t.After(time.Now().Add(24*time.Hour)) {
		return time.Time{}
	}
	return t
}

// offer is the body of prepare-upload.
type offer struct {
	Info  deviceInfo `json:"info"`
	Files files      `json:"files"`
}

// files holds the offered files by their IDs.
type files map[string]fileInfo

// UnmarshalJSON stops when there are too many files: each takes much more memory than its text.
func (fs *files) UnmarshalJSON(b []byte) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return errors.New(`"files" is not a JSON object`)
	}
	*fs = files{}
	for dec.More() {
		id, err := dec.Token()
		if err != nil {
			return err
		}
		if len(*fs) >= maxFiles { // guard: localsend-files
			return fmt.Errorf("the offer has more than %d files", maxFiles)
		}
		var f fileInfo
		if err := dec.Decode(&f); err != nil {
			return err
		}
		(*fs)[id.(string)] = f
	}
	_, err := dec.Token()
	return err
}

// acceptance is the answer to an offer: a token for each file that is wanted.
type acceptance struct {
	SessionID string            `json:"sessionId"`
	Files     map[string]string `json:"files"`

	shown bool // the device has shown the text of the offer, and there is nothing to upload
}

// part is a file that a device may upload. It is small, because an offer may wait for a person for a long time.
type part struct {
	id       string
	path     string // unique among the paths of the offer
	size     int64
	modified time.Time
	sha256   []byte
}

// parseOffer parses and checks an offer, up to the end of r. The parts are sorted by path.
func parseOffer(r io.Reader) (offer, []part, error) {
	var o offer
	limited := &io.LimitedReader{R: r, N: maxPrepare + 1}
	dec := json.NewDecoder(limited)
	err := dec.Decode(&o)
	if err == nil {
		if _, after := dec.Token(); after != io.EOF { // guard: localsend-trailing
			err = errors.New("there is data after the JSON object")
		}
	}
	if err != nil || limited.N <= 0 {
		return o, nil, fmt.Errorf("the offer is not valid JSON, or is longer than %d bytes: %w", maxPrepare, errors.Join(err, engine.ErrInvalid))
	}
	if len(o.Files) == 0 {
		return o, nil, fmt.Errorf("%w: the offer has no files", engine.ErrInvalid)
	}
	if len(o.Info.Alias) > maxAlias { // guard: localsend-alias
		return o, nil, fmt.Errorf("%w: the device name is %d bytes long; the limit is %d", engine.ErrInvalid, len(o.Info.Alias), maxAlias)
	}
	parts := make([]part, 0, len(o.Files))
	for id, f := range o.Files {
		p, err := checkFile(id, f)
		if err != nil {
			return o, nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
		}
		parts = append(parts, p)
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Or(strings.Compare(a.path, b.path), strings.Compare(a.id, b.id)) })
	numberSame(parts)
	if err := checkFolders(parts); err != nil {
		return o, nil, fmt.Errorf("%w: %w", engine.ErrInvalid, err)
	}
	if text, ok := o.text(); ok { // the saved name is the one that was shown
		sum := sha256.Sum256([]byte(text))
		parts[0].sha256 = sum[:]
	}
	return o, parts, nil
}

// checkFolders rejects a file whose path is also the folder of another file.
func checkFolders(parts []part) error {
	folders := map[string]bool{}
	for _, p := range parts {
		for dir := path.Dir(p.path); dir != "." && dir != "/" && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
		if len(folders) > maxFolders { // guard: localsend-folders
			return fmt.Errorf("the offer has more than %d folders", maxFolders)
		}
	}
	for _, p := range parts {
		if folders[p.path] {
			return fmt.Errorf("%q is a file and a folder", p.path)
		}
	}
	return nil
}

// numberSame numbers files with the same path, which are next to each other.
func numberSame(parts []part) {
	taken := map[string]bool{}
	for _, p := range parts {
		taken[p.path] = true
	}
	first, number := "", 1
	for i := range parts {
		p := &parts[i]
		if i == 0 || p.path != first {
			first, number = p.path, 1
			continue
		}
		ext := path.Ext(first)
		for taken[p.path] {
			number++
			p.path = strings.TrimSuffix(first, ext) + " (" + strconv.Itoa(number) + ")" + ext
		}
		taken[p.path] = true
	}
}

func checkFile(id string, f fileInfo) (part, error) {
	p := part{id: id, path: f.FileName, size: f.Size, modified: f.modified()}
	switch {
	case id == "" || len(id) > 200:
		return p, errors.New("a file has no ID, or one of more than 200 bytes")
	case f.Size < 0 || f.Size > maxSize:
		return p, fmt.Errorf("invalid file size %d", f.Size)
	case len(f.FileName) > 4096 || strings.Count(f.FileName, "/") >= transfer.MaxDepth: // guard: localsend-depth
		return p, errors.New("a path is too long")
	}
	for name := range strings.SplitSeq(f.FileName, "/") {
		if err := transfer.ValidateName(name); err != nil { // guard: localsend-names
			return p, err
		}
	}
	if f.SHA256 != "" {
		sum, err := hex.DecodeString(f.SHA256)
		if err != nil || len(sum) != 32 {
			return p, errors.New("a digest is not a hex-encoded SHA-256 hash")
		}
		p.sha256 = sum
	}
	return p, nil
}

// text returns the text of an offer that consists of one text message.
func (o offer) text() (string, bool) {
	for _, f := range o.Files {
		if len(o.Files) != 1 || f.Preview == nil || f.FileType != "text" && !strings.HasPrefix(f.FileType, "text/plain") {
			return "", false
		}
		if f.Size != int64(len(*f.Preview)) { // guard: localsend-text
			return "", false
		}
		return *f.Preview, true
	}
	return "", false
}

// maxNote is how much of a text is shown with an offer, in bytes.
const maxNote = 900

// maxNames is how many file names are kept of an offer. The history of transfers stores them.
const maxNames = 20

// describe returns the offer as a person sees it.
func describe(from gateway.Device, o offer, parts []part) gateway.Offer {
	d := gateway.Offer{From: from, Files: int64(len(parts))}
	tops, folders := map[string]bool{}, map[string]bool{}
	for _, p := range parts {
		d.Bytes += p.size
		top, _, _ := strings.Cut(p.path, "/")
		if !tops[top] {
			tops[top] = true
			if len(d.Names) < maxNames { // guard: localsend-kept-names
				d.Names = append(d.Names, top)
			}
		}
		for dir := path.Dir(p.path); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
		}
	}
	d.Items, d.Folders = int64(len(tops)), int64(len(folders))
	if text, ok := o.text(); ok && utf8.ValidString(text) {
		d.Note = text
		if len(text) > maxNote {
			cut := maxNote
			for !utf8.RuneStart(text[cut]) {
				cut--
			}
			d.Note = text[:cut] + "…"
		}
	}
	return d
}

// checkPIN checks the format of a PIN.
func checkPIN(pin string) error {
	for _, r := range pin {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return fmt.Errorf("PIN %q: %w: must contain only letters and digits", pin, engine.ErrInvalid)
		}
	}
	if len(pin) > 64 {
		return fmt.Errorf("PIN: %w: must have at most 64 characters", engine.ErrInvalid)
	}
	return nil
}
