package ui

import (
	"context"
	"time"
)

// note is the kind of a notification, for a user who is not looking at the window. The words are always the app's
// own: text from a peer would be markup on one system and a script on another.
type note int

const (
	noteMessage note = iota
	noteInvitation
	noteOffer
	noteVerify
	noteArrived
	noteFailed
	noteBehind // the window was closed, and the program keeps running
)

// between is the shortest time between two notifications of the same kind, so that a peer cannot flood the user.
const between = 20 * time.Second

func (n note) words() (title, body string) {
	switch n {
	case noteMessage:
		return tr("New message"), tr("You have a new message.")
	case noteInvitation:
		return tr("A device wants to connect"), tr("Open Multipeer to answer.")
	case noteOffer:
		return tr("Wants to send files"), tr("Someone wants to send you files. Open Multipeer to answer.")
	case noteVerify:
		return tr("Compare codes"), tr("A device wants to verify. Open Multipeer to answer.")
	case noteArrived:
		return tr("Files received"), tr("Saved to your folder for received files.")
	case noteFailed:
		return tr("A transfer failed"), tr("Open Multipeer for details.")
	}
	return tr("Multipeer is still running"), tr("Multipeer keeps receiving in the background. Open or quit it from the tray.")
}

// notifier notifies a user who is not looking at the window.
type notifier struct {
	u     *UI
	front bool               // the user is looking at the window
	quiet map[note]time.Time // when a notification of each kind was last shown
}

func newNotifier(u *UI) *notifier { return &notifier{u: u, front: true, quiet: map[note]time.Time{}} }

// away reports that the user is not looking at the window.
func (nt *notifier) away() bool { return !nt.front }

// attend draws the user's attention to a conversation. It opens the conversation for a request if the empty page is
// in front, and sends a notification.
func (nt *notifier) attend(t *talk, n note) {
	if nt.u.current == nil && nt.u.page == pageEmpty && len(nt.u.sending.paths) == 0 && !nt.u.shell.narrow && n != noteMessage {
		nt.u.choose(t)
	}
	nt.notify(n)
}

// notify shows a notification if the user is not looking at the window, at a limited rate.
func (nt *notifier) notify(n note) {
	if nt.front || nt.u.finished || nt.u.o.Settings.Quiet || time.Since(nt.quiet[n]) < between || nt.u.bind == nil {
		return
	}
	nt.quiet[n] = time.Now()
	nt.u.trace("notify %d", n)
	title, body := n.words()
	nt.u.bind.run(func(ctx context.Context) { _ = nt.u.o.Desktop.Notify(ctx, title, body) })
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
