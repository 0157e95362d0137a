package ui

import (
	"context"
	"time"
)

// note is something that a person who does not look at the window is told of. The words are ours alone: what a peer
// wrote would be markup on one system and a script on another.
type note int

const (
	noteMessage note = iota
	noteInvitation
	noteOffer
	noteVerify
	noteArrived
	noteFailed
	noteBehind // the window was closed, and the program goes on
)

// between is how often the same is told at the most: a peer must not make a drum of it.
const between = 20 * time.Second

func (n note) words() (title, body string) {
	switch n {
	case noteMessage:
		return tr("New message"), tr("Somebody wrote to you in Multipeer.")
	case noteInvitation:
		return tr("A device wants to connect"), tr("Multipeer waits for your answer.")
	case noteOffer:
		return tr("Files are waiting"), tr("Somebody wants to send you something. Multipeer waits for your answer.")
	case noteVerify:
		return tr("Compare codes"), tr("A device wants to verify. Multipeer waits for your answer.")
	case noteArrived:
		return tr("Files have arrived"), tr("They are in the folder for received files.")
	case noteFailed:
		return tr("A transfer failed"), tr("Multipeer says why.")
	}
	return tr("Multipeer goes on"), tr("It still receives. Open or quit it from the tray.")
}

// attend calls for the user's eye: by the conversation itself if nobody has chosen another, and else by a notification.
func (u *UI) attend(t *talk, n note) {
	if u.current == nil && u.page == pageEmpty && len(u.waiting) == 0 && !u.shell.narrow && n != noteMessage {
		u.choose(t)
	}
	u.notify(n)
}

// notify tells a user who does not look, once in a while.
func (u *UI) notify(n note) {
	if u.front || u.finished || u.o.Settings.Quiet || time.Since(u.quiet[n]) < between || u.bind == nil {
		return
	}
	u.quiet[n] = time.Now()
	u.trace("notify %d", n)
	title, body := n.words()
	u.bind.run(func(ctx context.Context) { _ = u.o.Desktop.Notify(ctx, title, body) })
}

// seen notes whether the user looks at the window.
func (u *UI) seen(front bool) {
	u.front = front
	if front {
		clear(u.quiet)
		if t := u.current; t != nil && u.page == pageTalk && t.unread > 0 {
			t.unread = 0
			t.save()
			u.dirty.side = true
		}
	}
	u.settle()
}
