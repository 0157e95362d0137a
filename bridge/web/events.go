package web

import (
	"io"
	"log"
	"net/netip"
	"strings"

	"multipeer/transfer"
)

var discardLog = log.New(io.Discard, "", 0)

// Visitor is a browser that has opened the link. Nothing proves who uses it but that it knows the link.
type Visitor struct {
	Number int        // 1 for the first
	Device string     // what its browser says it runs on, such as "iPhone"; empty if that is unknown
	Addr   netip.Addr // as it was when the visitor opened the link
}

// Upload is what a visitor wants to send.
type Upload struct {
	Visitor Visitor
	Number  int      // counts up
	Names   []string // top-level names, untrusted, the first 20
	Items   int      // how many there are
	Files   int64
	Folders int64
	Bytes   int64 // transfer.Unknown if the browser does not say: then up to MaxFormFiles files may arrive
}

// Event is one of the types below.
type Event interface{ event() }

type (
	// Opened reports that a visitor has opened the link.
	Opened struct{ Visitor Visitor }
	// Sent reports that a visitor has downloaded a file, or the archive of all files, to its end.
	Sent struct {
		Visitor Visitor
		Name    string
		Bytes   int64
	}
	// Progress reports how much of an upload has arrived, at most ten times a second.
	Progress struct {
		Upload Upload
		Bytes  int64
		Files  int64
	}
	// Received reports the end of an upload. With an Err nothing has arrived, or not everything; Result says what has.
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
func (Progress) event() {}
func (Received) event() {}
func (Said) event()     {}
func (Ended) event()    {}

// deviceOf guesses from the User-Agent header what a browser runs on.
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
