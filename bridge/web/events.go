package web

import (
	"io"
	"log"
	"net/netip"
	"strings"

	"multipeer/transfer"
)

var discardLog = log.New(io.Discard, "", 0)

// Visitor is a browser that has opened the link. Knowing the link is its only credential.
type Visitor struct {
	Number int        // 1 for the first
	Device string     // the device that the browser reports, such as "iPhone"; empty if unknown
	Addr   netip.Addr // the address when the visitor opened the link
}

// Upload describes the files that a visitor wants to send.
type Upload struct {
	Visitor Visitor
	Number  int      // 1, 2, and so on
	Names   []string // top-level names, untrusted, the first 20
	Items   int      // the number of top-level names
	Files   int64
	Folders int64
	Bytes   int64 // transfer.Unknown if the browser does not report it: then up to MaxFormFiles files may arrive
}

// Event is one of the types below.
type Event interface{ event() }

type (
	// Opened reports that a visitor has opened the link.
	Opened struct{ Visitor Visitor }
	// Sent reports that a visitor has downloaded a file, or the archive of all files, completely.
	Sent struct {
		Visitor Visitor
		Name    string
		Bytes   int64
	}
	// NotSent reports that a visitor cannot download a file, or the archive of all files, because a file has changed or
	// cannot be read any more. Err names it.
	NotSent struct {
		Visitor Visitor
		Name    string
		Err     error
	}
	// Progress reports how much of an upload has arrived, at most ten times per second.
	Progress struct {
		Upload Upload
		Bytes  int64
		Files  int64
	}
	// Received reports the end of an upload. If Err is set, some or all files did not arrive; Result lists what did.
	Received struct {
		Upload Upload
		Result transfer.Result
		Err    error
	}
	// Said reports text that a visitor has sent. The text is untrusted.
	Said struct {
		Visitor Visitor
		Text    string
	}
	// Ended reports the end of the link; it is the last event.
	Ended struct{ Err error }
)

func (Opened) event()   {}
func (Sent) event()     {}
func (NotSent) event()  {}
func (Progress) event() {}
func (Received) event() {}
func (Said) event()     {}
func (Ended) event()    {}

// deviceOf guesses the device from the User-Agent header.
func deviceOf(agent string) string {
	for _, d := range []struct{ mark, name string }{
		{"iPhone", "iPhone"},
		{"iPad", "iPad"},
		{"Android", "Android"},
		{"CrOS", "Chromebook"},
		{"Windows", "Windows"},
		{"Macintosh", "Mac"},
		{"Linux", "Linux"},
	} {
		if strings.Contains(agent, d.mark) {
			return d.name
		}
	}
	return ""
}
