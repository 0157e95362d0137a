package ui

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestOffers_OnlyShownNamesAreReplacedOrMerged checks that accepting an offer does not change the user's existing files
// unless their names were shown, whatever the user chose.
func TestOffers_OnlyShownNamesAreReplacedOrMerged(t *testing.T) {
	const mine = "three years of work"
	photos := func(n int) (names []string) {
		for i := range n {
			names = append(names, fmt.Sprintf("photo%02d.jpg", i))
		}
		return names
	}
	button := func(c *transferCard, label string) {
		for _, o := range c.buttons.Objects {
			if b := o.(*widget.Button); b.Text == label {
				test.Tap(b)
			}
		}
	}
	replace := func(c *transferCard) { c.taken.Chosen = 2 }
	for name, c := range map[string]struct {
		has       []string // existing files in the receiving folder, besides notes.txt
		elsewhere bool     // the existing files are in a folder that the user picks
		offered   []string
		accept    func(ben *station, c *transferCard)
		saved     string // where the offered file is saved
	}{
		"the 21st name": {
			has: []string{"thesis.docx"}, offered: append(append([]string{"notes.txt"}, photos(19)...), "thesis.docx"),
			accept: func(_ *station, c *transferCard) { replace(c); test.Tap(c.accept) }, saved: "thesis (2).docx",
		},
		"the 4th of the names that exist, the 7th of the offer": {
			has: []string{"photo00.jpg", "photo01.jpg", "photo02.jpg"}, offered: append(photos(6), "notes.txt"),
			accept: func(_ *station, c *transferCard) {
				if !strings.Contains(c.details.Text, "notes.txt") {
					t.Errorf("the card says %q", c.details.Text)
				}
				test.Tap(c.accept)
			}, saved: "notes (2).txt",
		},
		"another folder": {
			has: []string{"thesis.txt"}, elsewhere: true, offered: []string{"notes.txt", "thesis.txt"},
			accept: func(_ *station, c *transferCard) { replace(c); button(c, "Accept and save to…") }, saved: "thesis (2).txt",
		},
		"a folder, from the banner": {
			has: []string{"project/main.py"}, offered: []string{"project/conftest.py"},
			accept: func(ben *station, _ *transferCard) {
				ben.showSettings()
				ben.settle()
				ben.banner.since = time.Time{}
				test.Tap(ben.banner.accept)
			}, saved: "project (2)/conftest.py",
		},
		"a folder that is the 21st name": {
			has: []string{"project/main.py"}, offered: append(photos(20), "project/conftest.py"),
			accept: func(_ *station, c *transferCard) { test.Tap(c.accept) }, saved: "project (2)/conftest.py",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
			anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
			l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
			write := func(dir, name, text string) string {
				p := filepath.Join(dir, filepath.FromSlash(name))
				if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(p, []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
				return p
			}
			write(ben.inbox, "notes.txt", "old notes")
			into := ben.inbox
			if c.elsewhere {
				into = t.TempDir()
				ben.desk.picks = []string{into}
			}
			for _, name := range c.has {
				write(into, name, mine)
			}
			dir := t.TempDir()
			var paths []string
			for _, name := range c.offered {
				write(dir, name, "theirs")
				top := filepath.Join(dir, name)
				if d := filepath.Dir(name); d != "." {
					top = filepath.Join(dir, d)
				}
				paths = append(paths, top)
			}
			anna.sending.offer(anna.talk(ben.self.ID), paths)
			l.until(t, "the offer", func() bool { return len(ben.transfers.offers) == 1 })
			ben.choose(ben.talk(anna.self.ID))
			ben.settle()
			card := ben.card(engine.Offered)
			l.until(t, "the details", func() bool { return card.free != "" })
			card.since = time.Time{}
			c.accept(ben, card)
			l.until(t, "arrived", func() bool {
				list := ben.node.Transfers()
				return len(list) == 1 && list[0].State == engine.Delivered
			})
			for _, name := range c.has {
				if got, err := os.ReadFile(filepath.Join(into, name)); err != nil || string(got) != mine {
					t.Errorf("%s of the user now holds %q, %v", name, got, err)
				}
			}
			if got, err := os.ReadFile(filepath.Join(into, c.saved)); err != nil || string(got) != "theirs" {
				t.Errorf("%s: %q, %v", c.saved, got, err)
			}
		})
	}
}

// TestOffers_ListedUnderTheNameThatTheyGet checks that the card lists the name of the file that would be replaced. That
// name differs from the offered one if the disk does not support it.
func TestOffers_ListedUnderTheNameThatTheyGet(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	if err := os.WriteFile(filepath.Join(ben.inbox, "my_thesis.txt"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "my:thesis.txt")
	if err := os.WriteFile(path, []byte("theirs"), 0o644); err != nil {
		t.Skip(err) // this system does not support such a name, so it cannot be offered
	}
	anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	l.until(t, "the offer", func() bool { return len(ben.transfers.offers) == 1 })
	ben.choose(ben.talk(anna.self.ID))
	ben.settle()
	card := ben.card(engine.Offered)
	l.until(t, "the details", func() bool { return card.free != "" })
	if len(card.clashes) != 1 || card.clashes[0] != "my_thesis.txt" || !card.taken.Visible() {
		t.Errorf("the card lists %q", card.clashes)
	}
}

// TestOffers_SameFileIsNotSentAgain checks that an identical file is not sent again, even if the user made no choice.
func TestOffers_SameFileIsNotSentAgain(t *testing.T) {
	a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
	anna, ben := newStation(t, a, l, net, "Anna"), newStation(t, a, l, net, "Ben")
	l.until(t, "reached", func() bool { return anna.peers[ben.self.ID].Confirmed && ben.peers[anna.self.ID].Confirmed })
	path := filepath.Join(t.TempDir(), "photo.jpg")
	for _, p := range []string{path, filepath.Join(ben.inbox, "photo.jpg")} {
		if err := os.WriteFile(p, []byte("the same"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ben.showSettings()
	anna.sending.offer(anna.talk(ben.self.ID), []string{path})
	l.until(t, "the banner", func() bool { return ben.banner.box.Visible() })
	ben.banner.since = time.Time{}
	test.Tap(ben.banner.accept)
	l.until(t, "arrived", func() bool {
		list := ben.node.Transfers()
		return len(list) == 1 && list[0].State == engine.Delivered
	})
	if tr := ben.node.Transfers()[0]; tr.Unchanged != 1 || tr.Moved > 4096 {
		t.Errorf("%d files were there already, and %d bytes were sent", tr.Unchanged, tr.Moved)
	}
	if list, err := os.ReadDir(ben.inbox); err != nil || len(list) > 2 {
		t.Errorf("%v, %v", list, err)
	}
}
