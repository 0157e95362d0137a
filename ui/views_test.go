package ui

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/bridge/localsend"
	"multipeer/bridge/web"
	"multipeer/engine"
	"multipeer/internal/doctor"
	"multipeer/internal/history"
	"multipeer/internal/settings"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// idOf returns an ID that is the same in every run.
func idOf(t *testing.T, n byte) (id engine.PeerID) {
	t.Helper()
	for i := range id {
		id[i] = n
	}
	return id
}

// stage is a window over an engine that does not run. It shows only what the test sets, so it looks the same in every
// run.
type stage struct {
	*UI
	t              *testing.T
	l              *loop
	desk           *fakeDesktop
	ben, eva, dora engine.PeerID
}

var noon = time.Date(2026, 5, 17, 12, 0, 0, 0, time.Local)

func newStage(t *testing.T, s *settings.Settings) *stage {
	t.Helper()
	return newStageWith(t, Options{Settings: s})
}

func newStageWith(t *testing.T, o Options) *stage {
	t.Helper()
	a := newTestApp(t)
	if o.Settings == nil {
		o.Settings = &settings.Settings{}
	}
	a.Settings().SetTheme(themeOf(o.Settings))
	e, err := engine.New(engine.Config{Name: "Anna's laptop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = e.Close() })
	if o.LocalSend, err = localsend.New(localsend.Options{}); err != nil {
		t.Fatal(err)
	}
	st := &stage{t: t, l: newLoop(), desk: newFakeDesktop(), ben: idOf(t, 1), eva: idOf(t, 2), dora: idOf(t, 3)}
	o.App, o.Engine, o.Do, o.Desktop, o.Downloads, o.Version = a, e, st.l.do, st.desk, "/home/anna/Downloads", "1.0"
	st.UI = New(o)
	st.bind = newBinding(t.Context(), st.l.do, st.settle)
	t.Cleanup(func() { st.bind.close() })
	st.self = engine.Self{ID: idOf(t, 9), Name: "Anna's laptop", Port: 17717, Running: true}
	st.w.Resize(fyne.NewSize(1280, 800))
	st.side.refresh()
	return st
}

func (s *stage) peers3() {
	s.apply([]engine.Event{
		engine.PeerChanged{Peer: engine.Peer{ID: s.ben, Name: "Ben's phone", State: engine.Connected, Trust: engine.TrustVerified, Confirmed: true, Info: map[string]string{"kind": "phone"}}},
		engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Eva", State: engine.Found, Confirmed: true, Info: map[string]string{"kind": "mac", "color": "3"}}},
		engine.PeerChanged{Peer: engine.Peer{ID: s.dora, Name: "A device whose owner has given it a rather long name", Err: engine.ErrTimeout, State: engine.Found, Info: map[string]string{"kind": "\x1b"}}},
	})
}

// crowd adds twelve devices nearby.
func (s *stage) crowd() {
	s.peers3()
	for i, p := range []engine.Peer{
		{Name: "Carl's tablet", Info: map[string]string{"kind": "tablet"}, State: engine.Connected, Trust: engine.TrustSeen},
		{Name: "workshop", Info: map[string]string{"kind": "server"}},
		{Name: "Fiona", Info: map[string]string{"kind": "windows"}},
		{Name: "Łukasz", Info: map[string]string{"kind": "linux"}},
		{Name: "Zoë's phone", Info: map[string]string{"kind": "phone"}},
		{Name: "Greta", Info: map[string]string{"kind": "phone"}},
		{Name: "Greta", Info: map[string]string{"kind": "mac"}},
		{Name: "Henri's phone", Info: map[string]string{"kind": "phone"}, Err: engine.ErrTimeout},
		{Name: "A-name-that-has-no-space-in-it-and-does-not-fit", Info: map[string]string{"kind": "linux"}},
	} {
		p.ID, p.Confirmed = idOf(s.t, byte(30+i)), true
		if p.State == 0 {
			p.State = engine.Found
		}
		s.apply([]engine.Event{engine.PeerChanged{Peer: p}})
	}
}

// conversation adds rows to the conversation with Ben.
func (s *stage) conversation() {
	s.peers3()
	t := s.talk(s.ben)
	for i, r := range []history.Row{
		{Kind: history.Notice, Text: "Connected with Ben's phone"},
		{Kind: history.Text, Text: "Have you got the photos from Sunday?"},
		{Kind: history.Text, Own: true, Text: "Yes, all of them. Where do you want them?", State: history.Delivered},
		{Kind: history.Text, Text: "Just drop them here, the whole folder is fine: I have space for all of it. And the script, please!"},
		{Kind: history.Text, Own: true, Text: "Here it is:\n```\n#!/bin/sh\nfor f in *.jpg; do\n  convert \"$f\" -resize 50% \"small-$f\"\ndone\n```\nSee https://example.org/how for more", State: history.Delivered},
		{Kind: history.Text, Own: true, Text: "And this one waits.", State: history.Queued},
		{Kind: history.Text, Own: true, Text: "This did not get there.", State: history.Failed, Note: reason(engine.ErrUnavailable, "Ben's phone", false)},
	} {
		r.At = noon.Add(time.Duration(i) * time.Minute)
		if i < 2 {
			r.At = r.At.AddDate(0, 0, -1)
		}
		s.add(t, r, nil)
	}
	s.choose(t)
	s.settle()
}

// browserLink shows the dialog of a browser link.
func (s *stage) browserLink(paths []string) *linkDialog {
	d := &linkDialog{u: s.UI, paths: paths, folder: "/home/anna/Downloads", link: &fakeLink{closed: make(chan struct{})}}
	s.links.open = d
	d.build()
	return d
}

func (s *stage) transferOf(state engine.TransferState, in bool, change func(*engine.Transfer)) engine.Transfer {
	t := engine.Transfer{
		ID: engine.TransferID(fmt.Sprint(len(s.transfers.all))), Peer: s.ben, PeerName: "Ben's phone", Incoming: in, State: state, Names: []string{"Sunday at the lake"},
		Items: 1, Folders: 3, Files: 214, Bytes: 1_640_000_000, Done: 410_000_000, DoneFiles: 53, Rate: 94e6, Left: 13 * time.Second, Started: noon,
	}
	if state.Final() {
		t.Ended = time.Now()
	}
	if change != nil {
		change(&t)
	}
	return t
}

// file returns a function that changes a transfer to a single file.
func file(name string) func(*engine.Transfer) {
	return func(t *engine.Transfer) { t.Names, t.Folders, t.Files = []string{name}, 0, 1 }
}

func (s *stage) allTransfers() {
	s.peers3()
	for _, t := range []struct {
		state  engine.TransferState
		in     bool
		change func(*engine.Transfer)
	}{
		{engine.Delivered, true, func(t *engine.Transfer) {
			file("report.pdf")(t)
			t.Saved, t.Renamed, t.Notes = []string{"/home/anna/Downloads/report (1).pdf"}, 1, []transfer.Note{{Path: "report.pdf", Saved: "report (1).pdf"}}
		}},
		{engine.Failed, false, func(t *engine.Transfer) { file("holiday-video.mp4")(t); t.Err = transfer.ErrNoSpace }},
		{engine.Declined, false, file("song.flac")},
		{engine.Stalled, false, func(t *engine.Transfer) { t.Err = engine.ErrLost }},
		{engine.Paused, true, file("disk image of an old computer, a rather long name.img")},
		{engine.Finishing, true, nil},
		{engine.Moving, false, nil},
	} {
		s.transfers.take(s.transferOf(t.state, t.in, t.change))
	}
	s.settle()
}

// views are states of the window. TestViews draws each one at all sizes and compares its outline with a reviewed copy.
var views = []struct {
	name string
	set  func(s *stage)
}{
	{"empty", func(s *stage) {}},
	{"nobody-chosen", func(s *stage) { s.peers3() }},
	{"no-network", func(s *stage) { s.apply([]engine.Event{engine.Problem{Err: engine.ErrNoNetwork}}) }},
	{"waiting", func(s *stage) { s.peers3(); s.sending.wait([]string{"/x/report.pdf", "/x/photos"}) }},
	{"chosen", func(s *stage) {
		s.crowd()
		s.sending.wait([]string{"/x/report.pdf", "/x/photos", "/x/song.flac"})
		s.side.reordered = time.Time{} // as if the devices had come a while ago
		s.sending.toggle(s.ben)
		s.sending.toggle(s.eva)
	}},
	{"nearby", func(s *stage) {
		s.crowd()
		s.o.Settings.SetFavourite(s.eva.String(), true)
		s.transfers.take(s.transferOf(engine.Moving, false, nil))
		s.apply([]engine.Event{&engine.Invitation{ID: "1", Peer: s.peers[idOf(s.t, 30)]}})
	}},
	{"not-listed", func(s *stage) { s.peers3(); s.connecting.show() }},
	{"conversation", (*stage).conversation},
	{"left-out", func(s *stage) {
		s.peers3()
		s.transfers.take(s.transferOf(engine.Delivered, false, func(t *engine.Transfer) {
			t.Files, t.LeftOut, t.Unkept = 212, 2, 1
			t.Notes = []transfer.Note{
				{Path: "Sunday at the lake/video.mp4", Err: transfer.ErrFileTooLarge, Remote: true},
				{Path: "Sunday at the lake/boat.jpg", Err: transfer.ErrVanished},
				{Path: "Sunday at the lake/log.txt", Saved: "Sunday at the lake/log.txt", Err: transfer.ErrGrew},
			}
		}))
		s.transfers.take(s.transferOf(engine.Delivered, true, func(t *engine.Transfer) {
			t.Files, t.LeftOut, t.Saved = 213, 1, []string{"/home/anna/Downloads/Sunday at the lake"}
			t.Notes = []transfer.Note{{Path: "Sunday at the lake/link", Err: transfer.ErrSpecial, Remote: true}}
		}))
		s.transfers.take(s.transferOf(engine.Failed, false, func(t *engine.Transfer) { file("report.pdf")(t); t.Err = transfer.ErrReadOnly }))
		s.choose(s.talk(s.ben))
	}},
	{"album", func(s *stage) {
		s.peers3()
		received := s.transferOf(engine.Delivered, true, func(t *engine.Transfer) {
			t.Names, t.Items, t.Folders, t.Files = []string{"IMG_0001.jpg", "plan.pdf", "script.sh"}, 20, 0, 20
			t.Saved = []string{"/home/anna/Downloads/IMG_0001.jpg", "/home/anna/Downloads/plan.pdf", "/home/anna/Downloads/script.sh"}
		})
		s.transfers.take(received)
		s.choose(s.talk(s.ben))
		a := &album{more: 12}
		for i := range widgets.AlbumMost {
			a.paths = append(a.paths, fmt.Sprintf("/home/anna/Downloads/IMG_%04d.jpg", i))
			a.shown = append(a.shown, widgets.AlbumPicture{Image: plain(120, 80, widgets.RGB(widgets.AvatarColors[i]))})
		}
		for _, c := range s.transfers.cardsOf(received.ID) {
			s.transfers.setAlbum(c, a)
		}
		s.timeline.Remeasure()
	}},
	{"same-identity", func(s *stage) {
		s.peers3()
		at := netip.MustParseAddrPort("192.168.1.23:17717")
		s.apply([]engine.Event{engine.Conflict{ID: s.self.ID, Name: s.self.Name, Addrs: []netip.AddrPort{at}}})
	}},
	{"everyone", func(s *stage) {
		s.peers3()
		t := s.talk(engine.PeerID{})
		s.add(t, history.Row{Kind: history.Text, Who: "Ben's phone", Text: "Lunch?", At: noon}, nil)
		s.add(t, history.Row{Kind: history.Text, Own: true, Text: "In ten minutes", State: history.Delivered, Note: trn("Delivered to {{.N}} devices", 2), At: noon}, nil)
		s.choose(t)
	}},
	{"invitation", func(s *stage) {
		s.peers3()
		s.invites.take(&engine.Invitation{ID: "i", Peer: s.UI.peers[s.eva]})
		s.choose(s.talk(s.eva))
	}},
	{"offer", func(s *stage) {
		s.peers3()
		t := s.transferOf(engine.Offered, true, func(t *engine.Transfer) {
			t.Names, t.Items = []string{"Sunday at the lake", "report.pdf", "song.flac", "notes.txt", "plan.svg", "more"}, 9
			t.Note = "The photos from Sunday, and the report that you asked for."
		})
		s.transfers.take(t)
		s.choose(s.talk(t.Peer))
		s.settle()
		for _, c := range s.transfers.cardsOf(t.ID) {
			c.ask("Goes to Downloads, where 23.1 GB are free", []string{"report.pdf", "notes.txt"}, []engine.TransferID{"a", "b"})
		}
		s.timeline.Remeasure()
	}},
	{"transfers-in-conversation", func(s *stage) { s.allTransfers(); s.choose(s.talk(s.ben)) }},
	{"transfers", func(s *stage) {
		s.allTransfers()
		s.showTransfers()
		for i := range 60 {
			s.moves.chart.Add(float64(i%20) * 5e6)
		}
	}},
	{"no-transfers", func(s *stage) { s.showTransfers() }},
	{"verify-shows", func(s *stage) {
		s.peers3()
		s.choose(s.talk(s.eva))
		s.apply([]engine.Event{engine.Pairing{Peer: s.eva, Name: "Eva", Stage: engine.PairingCompare, Code: "541 152"}})
	}},
	{"verify-picks", func(s *stage) {
		s.peers3()
		s.choose(s.talk(s.eva))
		s.apply([]engine.Event{engine.Pairing{Peer: s.eva, Name: "Eva", Stage: engine.PairingCompare, Choices: []string{"104 223", "541 152", "990 001"}}})
	}},
	{"lookalike", func(s *stage) {
		s.peers3()
		s.apply([]engine.Event{engine.PeerChanged{Peer: engine.Peer{ID: s.eva, Name: "Ben's phone", LooksLike: s.ben, Confirmed: true}}})
		s.choose(s.talk(s.eva))
	}},
	{"search", func(s *stage) {
		s.conversation()
		s.side.search.SetText("photos")
		s.l.until(s.t, "the hits", func() bool { return len(s.side.hits.Objects) > 0 })
	}},
	{"settings", func(s *stage) { s.showSettings() }},
	{"ask", func(s *stage) { s.peers3(); s.choose(s.talk(s.ben)); s.block(s.ben) }},
	{"menu", func(s *stage) {
		s.conversation()
		s.showMenu(s.talkActions(s.talk(s.ben)), fyne.NewPos(400, 80))
	}},
	{"doctor", func(s *stage) {
		s.finder.showFindings([]doctor.Finding{
			{Name: doctor.Network, Detail: "wlan0 (192.0.2.7/24), eth0 (198.51.100.9/24)"},
			{Name: doctor.VPN, Detail: "tun0"},
			{Name: doctor.OwnFirewall, Bad: true, Detail: "ufw", Command: "sudo ufw allow 17717 && sudo ufw allow 5353/udp"},
			{Name: doctor.Filtered, Bad: true, N: 2},
		})
	}},
	{"browser-link", func(s *stage) {
		s.peers3()
		s.browserLink([]string{"/x/report.pdf", "/x/photos"})
	}},
	{"browser-link-asked", func(s *stage) {
		s.peers3()
		d := s.browserLink(nil)
		s.settle()
		d.take(web.Opened{Visitor: web.Visitor{Number: 1, Device: "iPhone"}})
		d.take(web.Received{Upload: web.Upload{Visitor: web.Visitor{Number: 1, Device: "iPhone"}}, Result: transfer.Result{Totals: transfer.Totals{Files: 12}, Saved: []string{"a"}}})
		d.asking = append(d.asking, &uploadQuestion{web.Upload{Visitor: web.Visitor{Number: 1, Device: "iPhone", Addr: netip.MustParseAddr("192.168.1.23")}, Names: []string{"IMG_0001.heic", "IMG_0002.heic", "A video with a rather long name from the lake.mov", "x"}, Items: 14, Files: 14, Bytes: 1_400_000_000}, "Saves to Downloads (70.0 GB free)", make(chan error, 1)})
		d.refresh()
	}},
	{"banner", func(s *stage) {
		s.conversation()
		s.apply([]engine.Event{&engine.Invitation{ID: "1", Peer: s.peers[s.eva]}})
		s.transfers.take(s.transferOf(engine.Offered, true, func(t *engine.Transfer) { t.Peer, t.PeerName = s.eva, "Eva" }))
		s.settle()
	}},
	{"long-message", func(s *stage) {
		s.conversation()
		s.composer.entry.SetText(strings.Repeat("A message that is longer than its field, and wraps. ", 5))
	}},
	{"error-details", func(s *stage) {
		s.peers3()
		s.fail(errors.New("something that only the library knows"), "Ben's phone", false)
	}},
	{"cancel", func(s *stage) {
		s.allTransfers()
		s.showTransfers()
		id := s.moves.shown[0]
		s.transfers.actions(s.transfers.all[id]).cancel()
	}},
	{"shortcuts", func(s *stage) { s.showShortcuts() }},
	{"toast", func(s *stage) {
		s.conversation()
		s.say(reason(engine.ErrTimeout, "Ben's phone", false))
	}},
}

// keptSize is the size at which views are compared with the saved outlines.
var keptSize = fyne.Size{Width: 900, Height: 600}

// TestViews draws each state at the sizes of a desktop, a small window and a phone. At each size, no text may be cut
// off or overlap other text. At keptSize, the outline of the window is compared with the saved copy, which has been
// reviewed. To accept a change, look at the pictures (MULTIPEER_PICTURES=folder), then move the files from
// testdata/failed to testdata.
func TestViews(t *testing.T) {
	for _, v := range views {
		for _, size := range []fyne.Size{{Width: 1280, Height: 800}, keptSize, {Width: 420, Height: 800}} {
			for _, look := range []string{settings.Light, settings.Dark, settings.Contrast} {
				if look != settings.Light && os.Getenv("MULTIPEER_PICTURES") == "" {
					continue // these themes differ only in colours
				}
				name := fmt.Sprintf("%s-%.0f", v.name, size.Width)
				t.Run(name+"-"+look, func(t *testing.T) {
					s := newStage(t, &settings.Settings{Appearance: look})
					s.w.Resize(size)
					v.set(s)
					s.settle()
					if min := s.root.MinSize(); min.Width > size.Width || min.Height > size.Height {
						t.Errorf("needs %v", min)
					}
					keepPicture(t, name+"-"+look, s.w.Canvas())
					if look != settings.Light {
						return
					}
					o := outlineOf(t, test.RenderToMarkup(s.w.Canvas()))
					if size == keptSize {
						o.compare(t, v.name)
					}
					for _, f := range o.faults() {
						if (s.banner.box.Visible() || s.toast.Box.Visible()) && strings.Contains(f, "lies over") {
							continue // the banner or the toast overlays the page
						}
						t.Error(f)
					}
				})
			}
		}
	}
}

// compare compares the outline of a window with the saved copy.
func (o *outline) compare(t *testing.T, name string) {
	t.Helper()
	got := strings.Join(o.lines, "\n") + "\n"
	got = strings.ReplaceAll(got, joined(runtime.GOOS+"/"+runtime.GOARCH, runtime.Version()), "SYSTEM")
	kept := filepath.Join("testdata", "views", name+".txt")
	want, err := os.ReadFile(kept)
	if err == nil && got == string(want) {
		return
	}
	failed := filepath.Join("testdata", "failed", "views", name+".txt")
	if err := os.MkdirAll(filepath.Dir(failed), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(failed, []byte(got), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Errorf("it does not look as %s says (%v): compare with %s", kept, err, failed)
}
