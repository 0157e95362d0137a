package ui

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/dialog"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
)

// talk is a conversation with one peer, or with everyone.
type talk struct {
	id     engine.PeerID
	name   string
	items  []item
	unread int
	draft  string
}

func (t *talk) everyone() bool { return t.id.IsZero() }

// words is the message of a chat. The terminal's chat writes the same; a program on the engine may send any JSON.
type words struct {
	Text     string `json:"text"`
	Everyone bool   `json:"everyone,omitempty"` // said to all
}

func (u *UI) talk(id engine.PeerID) *talk {
	t := u.talks[id]
	if t == nil {
		t = &talk{id: id, name: u.peers[id].Name}
		u.talks[id] = t
	}
	return t
}

// choose shows a conversation; nil shows what to do when there is none.
func (u *UI) choose(t *talk) {
	if u.current != nil {
		u.current.draft = u.entry.Text
	}
	u.current = t
	if t == nil {
		u.page.Objects[0].Show()
		u.page.Objects[1].Hide()
		u.showEmpty()
		return
	}
	u.page.Objects[0].Hide()
	u.page.Objects[1].Show()
	t.unread = 0
	u.entry.SetText(t.draft)
	u.showHeader()
	u.timeline.show(t.items)
	u.side.refresh()
	u.page.Refresh()
	u.w.Canvas().Focus(u.entry)
	u.trace("chosen %s", u.label(t))
	if len(u.waiting) > 0 {
		paths := u.waiting
		u.waiting = nil
		u.offer(t, paths)
	}
}

func (u *UI) label(t *talk) string {
	if t.everyone() {
		return "everyone"
	}
	return t.name
}

// add appends a row to a conversation.
func (u *UI) add(t *talk, i item, own bool) {
	t.items = append(t.items, i)
	if len(t.items) > kept {
		t.items = t.items[len(t.items)-kept:]
	}
	if t == u.current {
		u.timeline.grew(t.items, own)
	} else if _, quiet := i.(*notice); !quiet && !own {
		t.unread++
	}
}

func clock() string { return time.Now().Format("15:04") }

// sendText sends what is in the field to the current conversation.
func (u *UI) sendText() {
	t, text := u.current, strings.TrimSpace(u.entry.Text)
	if t == nil || text == "" {
		return
	}
	u.entry.SetText("")
	u.deliver(t, text)
}

func (u *UI) deliver(t *talk, text string) {
	b := newBubble(text, "", "Sending…", true)
	u.add(t, b, true)
	u.trace("send %q to %s", text, u.label(t))
	sent := clock()
	done := func(stamp string, failed bool) {
		b.setStamp(stamp, failed)
		u.trace("%s %q", stamp, text)
	}
	if t.everyone() {
		background(u.bind, func(ctx context.Context) ([]engine.Result, error) {
			return u.e.Send(ctx, words{text, true})
		}, func(results []engine.Result, err error) { done(u.tally(sent, results, err)) })
		return
	}
	if p, ok := u.peers[t.id]; ok && !p.HasSession() {
		b.setStamp("Waiting for "+p.Name+" to accept…", false)
	}
	background(u.bind, func(ctx context.Context) (struct{}, error) {
		if p, ok := u.e.Peer(t.id); ok && !p.HasSession() {
			if err := u.e.Invite(ctx, t.id); err != nil {
				return struct{}{}, err
			}
		}
		results, err := u.e.Send(ctx, words{Text: text}, t.id)
		if err == nil {
			err = results[0].Err
		}
		return struct{}{}, err
	}, func(_ struct{}, err error) {
		if err != nil {
			done("Not delivered. "+reason(err, u.nameOf(t), false), true)
			return
		}
		done(sent+" · Delivered", false)
	})
}

// tally sums up the results of a message to all.
func (u *UI) tally(sent string, results []engine.Result, err error) (string, bool) {
	if err != nil {
		return "Not delivered. " + reason(err, "Everyone", false), true
	}
	var missed []string
	for _, r := range results {
		if r.Err != nil {
			missed = append(missed, u.peers[r.Peer].Name)
		}
	}
	if len(missed) == 0 {
		return fmt.Sprintf("%s · Delivered to %s", sent, plural(int64(len(results)), "device", "devices")), false
	}
	return fmt.Sprintf("%s · Delivered to %d of %d, not to %s", sent, len(results)-len(missed), len(results), strings.Join(missed, ", ")), true
}

func (u *UI) nameOf(t *talk) string {
	if p, ok := u.peers[t.id]; ok {
		return p.Name
	}
	return t.name
}

// invite asks the peer of a conversation to connect.
func (u *UI) invite(id engine.PeerID) {
	name := u.peers[id].Name
	u.trace("invite %q", name)
	background(u.bind, func(ctx context.Context) (struct{}, error) { return struct{}{}, u.e.Invite(ctx, id) }, func(_ struct{}, err error) {
		if err != nil && !errors.Is(err, engine.ErrCancelled) {
			u.say(reason(err, name, false))
		}
	})
}

// receive shows a message that came.
func (u *UI) receive(m engine.Message) {
	text, all := string(m.Body), false
	var w words
	var plain string
	if json.Unmarshal(m.Body, &w) == nil && w.Text != "" {
		text, all = w.Text, w.Everyone
	} else if json.Unmarshal(m.Body, &plain) == nil {
		text = plain
	}
	text = engine.CleanText(text)
	t, who := u.talk(m.From), ""
	if all {
		t, who = u.talk(engine.PeerID{}), m.Name
	}
	u.add(t, newBubble(text, who, m.At.Format("15:04"), false), false)
	u.trace("message %q from %s", text, m.Name)
}

// dropped takes files that were dropped on the window: for the conversation, or for the peer whose row they hit.
func (u *UI) dropped(at fyne.Position, uris []fyne.URI) {
	var paths []string
	for _, uri := range uris {
		if uri.Scheme() == "file" {
			paths = append(paths, filepath.FromSlash(uri.Path()))
		}
	}
	u.trace("drop at %.0f,%.0f %q", at.X, at.Y, paths)
	if len(paths) == 0 {
		u.say("Only files and folders can be dropped here.")
		return
	}
	t := u.current
	if id, ok := u.side.rowAt(at); ok && (t == nil || t.id != id) {
		hit := u.talk(id)
		if runtime.GOOS == "linux" { // X11 tells the place exactly, and Wayland none, which is no row
			u.choose(hit)
			u.offer(hit, paths)
			return
		}
		u.ask("Send to "+u.nameOf(hit)+"?", plural(int64(len(paths)), "item", "items")+" dropped on its name", "Send", func() {
			u.choose(hit)
			u.offer(hit, paths)
		})
		return
	}
	if t == nil {
		u.waiting = append(u.waiting, paths...)
		u.showEmpty()
		return
	}
	u.offer(t, paths)
}

// offer offers paths to the peer of a conversation, or to everyone who is connected.
func (u *UI) offer(t *talk, paths []string) {
	to := []engine.PeerID{t.id}
	if t.everyone() {
		to = nil
		for id, p := range u.peers {
			if p.HasSession() {
				to = append(to, id)
			}
		}
		if len(to) == 0 {
			u.waiting = append(u.waiting, paths...)
			u.say("Nobody is connected. Choose a device on the left, and the files go there.")
			u.choose(nil)
			return
		}
	}
	background(u.bind, func(ctx context.Context) ([]engine.Transfer, error) {
		return u.e.OfferEach(ctx, to, engine.OfferOptions{Keep: true}, paths...), nil
	}, func(offered []engine.Transfer, _ error) {
		for _, tr := range offered {
			name := u.peers[tr.Peer].Name
			if tr.ID == "" {
				u.say(reason(tr.Err, name, false))
				continue
			}
			u.sources[tr.ID] = paths
			u.trace("offered %q to %s", tr.Names, name)
		}
	})
}

// attachMenu lets the user choose files or a folder.
func (u *UI) attachMenu() {
	if u.current == nil {
		return
	}
	t := u.current
	took := func(uri fyne.URI) { u.offer(t, []string{filepath.FromSlash(uri.Path())}) }
	file := fyne.NewMenuItem("File…", func() {
		u.show(dialog.NewFileOpen(func(r fyne.URIReadCloser, err error) {
			if r != nil {
				uri := r.URI()
				_ = r.Close()
				took(uri)
			}
		}, u.w))
	})
	folder := fyne.NewMenuItem("Folder…", func() {
		u.show(dialog.NewFolderOpen(func(l fyne.ListableURI, err error) {
			if l != nil {
				took(l)
			}
		}, u.w))
	})
	at := fyne.CurrentApp().Driver().AbsolutePositionForObject(u.attach)
	menu := widget.NewPopUpMenu(fyne.NewMenu("", file, folder), u.w.Canvas())
	menu.ShowAtPosition(at.SubtractXY(0, menu.MinSize().Height+4))
}

// show opens a dialog; Escape closes it.
func (u *UI) show(d dialog.Dialog) {
	u.dialog = d
	d.SetOnClosed(func() { u.dialog = nil })
	d.Resize(fyne.NewSize(760, 520))
	d.Show()
}

// ask asks before something is done; the button says what.
func (u *UI) ask(title, text, yes string, do func()) {
	d := dialog.NewCustomConfirm(title, yes, "Cancel", widget.NewLabel(text), func(ok bool) {
		if ok {
			do()
		}
	}, u.w)
	u.dialog = d
	d.SetOnClosed(func() { u.dialog = nil })
	d.Show()
}
