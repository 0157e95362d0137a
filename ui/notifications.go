package ui

import (
	"context"
	"time"

	"multipeer/engine"
	"multipeer/internal/settings"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// note is the kind of a notification.
type note int

const (
	noteMessage note = iota
	noteInvitation
	noteOffer
	noteVerify
	noteArrived
	noteFailed
	noteBehind // the user closed the window, and the program keeps running
)

// between is the minimum time between two notifications of the same kind about the same device, so that a peer cannot
// flood the user. All devices whose names are not shown count as one.
const between = 20 * time.Second

// nameless returns the text of a notification that names no one.
func (n note) nameless() (title, body string) {
	switch n {
	case noteMessage:
		return tr("New message"), tr("You have a new message.")
	case noteInvitation:
		return tr("A device wants to connect"), tr("Open Multipeer to answer.")
	case noteOffer:
		return tr("Wants to send files"), tr("Someone wants to send you files. Open Multipeer to answer.")
	case noteVerify:
		return tr("Compare codes"), tr("A device wants to compare codes with you. Open Multipeer to respond.")
	case noteArrived:
		return tr("Files received"), tr("Saved to your folder for received files.")
	case noteFailed:
		return tr("A transfer failed"), tr("Open Multipeer for details.")
	}
	return tr("Multipeer is still running"), tr("Multipeer keeps receiving in the background. Open or quit it from the tray.")
}

// named returns the body of a notification whose title is the name of a device.
func (n note) named() string {
	switch n {
	case noteMessage:
		return tr("You have a new message.")
	case noteInvitation:
		return tr("Wants to connect")
	case noteOffer:
		return tr("Wants to send files")
	case noteVerify:
		return tr("Wants to compare codes. Open Multipeer to answer.")
	case noteArrived:
		return tr("Files received")
	}
	return tr("A transfer failed")
}

// attention is an event that the user should know about.
type attention struct {
	kind note
	from *talk  // the peer that caused it; nil for none
	what string // describes it, if the device's name is shown; empty for the default text of the kind
	// accept and decline answer a request. Both may be nil. They do nothing if the request has already been answered.
	accept, decline func()
}

// notifier notifies a user who is not looking at the window.
type notifier struct {
	u     *UI
	front bool                     // the user is looking at the window
	quiet map[notifiedOf]time.Time // when a notification was last shown
}

// notifiedOf is the key of the rate limit for notifications.
type notifiedOf struct {
	kind note
	from engine.PeerID // zero for all devices whose names are not shown
}

func newNotifier(u *UI) *notifier {
	return &notifier{u: u, front: true, quiet: map[notifiedOf]time.Time{}}
}

// away reports that the user is not looking at the window.
func (nt *notifier) away() bool { return !nt.front }

// attend draws the user's attention to an event: it shows a notification, at a limited rate, if the user is not looking
// at the window. It never changes the page, because the user may be about to type or to drop files on it.
func (nt *notifier) attend(a attention) {
	u := nt.u
	if nt.front || u.finished || u.o.Settings.Quiet || u.bind == nil {
		return
	}
	shown := notifiedOf{kind: a.kind}
	n := desktop.Notice{}
	n.Title, n.Body = a.kind.nameless()
	n.Sound = map[note]string{noteMessage: "message-new-instant", noteArrived: "complete-download", noteFailed: "dialog-warning"}[a.kind]
	if nt.mayName(a.from) {
		shown.from = a.from.id
		n.Title, n.Body = widgets.Shortened(u.nameOf(a.from), shownName), a.kind.named()
		if a.what != "" {
			n.Body = a.what
		}
		if a.accept != nil && u.warning(u.peers[a.from.id]) == "" {
			n.Buttons = []desktop.Button{{Label: tr("Accept"), Do: nt.later(a.accept)}, {Label: tr("Decline"), Do: nt.later(a.decline)}}
		}
	}
	if time.Since(nt.quiet[shown]) < between {
		return
	}
	nt.quiet[shown] = time.Now()
	u.trace("notify %d", a.kind)
	u.bind.run(func(ctx context.Context) { _ = u.o.Desktop.Notify(ctx, n) })
}

// later returns a function that runs do on the main thread, from any goroutine.
func (nt *notifier) later(do func()) func() {
	return func() {
		nt.u.o.Do(func() {
			if !nt.u.finished {
				do()
				nt.u.settle()
			}
		})
	}
}

// mayName reports whether a notification may show the name of a conversation's device. A stranger can choose any name,
// and anyone who sees the screen can read it.
func (nt *notifier) mayName(t *talk) bool {
	if t == nil || t.everyone() {
		return false
	}
	switch nt.u.o.Settings.NoticeNames {
	case settings.NamesHidden:
		return false
	case settings.NamesShown:
		return true
	}
	trust := nt.u.e.Trust(t.id)
	return trust == engine.TrustVerified || trust == engine.TrustSeen
}

// seen records whether the user is looking at the window.
func (nt *notifier) seen(front bool) {
	nt.front = front
	if front {
		clear(nt.quiet)
		if t := nt.u.current; t != nil && nt.u.page == pageTalk && t.unread > 0 {
			t.unread = 0
			t.save()
			nt.u.dirty.side = true
		}
	}
	nt.u.settle()
}
