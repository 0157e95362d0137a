package ui

import (
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
	"multipeer/internal/settings"
	"multipeer/ui/internal/widgets"
)

// TestWelcome_NothingIsAnnouncedBefore checks that a new device is not announced before its user has seen the name,
// that others then see the chosen name, and that the user is asked only once.
func TestWelcome_NothingIsAnnouncedBefore(t *testing.T) {
	for what, c := range map[string]struct {
		act  func(*station, *widgets.Field)
		want string
	}{
		"a name": {func(_ *station, f *widgets.Field) { f.SetText(" Annabelle "); f.OnSubmitted("") }, "Annabelle"},
		"a bad name": {func(_ *station, f *widgets.Field) {
			f.SetText("\u200b")
			f.OnSubmitted("")
			f.SetText("Anna")
			f.OnSubmitted("")
		}, "Anna"},
		"no name":      {func(_ *station, f *widgets.Field) { f.SetText(""); f.OnSubmitted("") }, "Anna's laptop"},
		"is dismissed": {func(s *station, _ *widgets.Field) { s.dialogs.open.Hide() }, "Anna's laptop"},
	} {
		t.Run(what, func(t *testing.T) {
			a, l, net := newTestApp(t), newLoop(), enginetest.New(t, time.Millisecond)
			chosen := &settings.Settings{}
			if !Welcomes(chosen, "") || Welcomes(chosen, "Anna") {
				t.Error("it is asked when a name was given, or not asked without one")
			}
			ben := newStation(t, a, l, net, "Ben")
			anna := newStationOn(t, a, l, net.Start(engine.Config{Name: "Anna's laptop", Hidden: true, Blind: true}), Options{Welcome: true, Settings: chosen})
			l.until(t, "the window", func() bool { return anna.self.Running })
			anna.welcome()
			field, ok := find(anna.w.Canvas().Overlays().Top(), func(*widgets.Field) bool { return true })
			if !ok {
				t.Fatal("there is no field")
			}
			time.Sleep(50 * time.Millisecond)
			if _, err := ben.node.FindPeer("Anna's laptop"); err == nil {
				t.Error("it is announced already")
			}
			c.act(anna, field)
			l.until(t, "the new device", func() bool { _, err := ben.node.FindPeer(c.want); return err == nil })
			if !chosen.Welcomed || Welcomes(chosen, "") {
				t.Error("it is asked again")
			}
		})
	}
}
