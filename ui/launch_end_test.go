package ui

import (
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"
	"fyne.io/fyne/v2/widget"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// noQuit fails the test if Fyne is asked to end its loop.
type noQuit struct {
	fyne.App
	t *testing.T
}

func (a noQuit) Quit() { a.t.Error("Fyne was asked to end its loop") }

// TestQuit_EndsTheProcessInsideTheLoop checks that each way to quit calls the function that exits the process, and that
// none asks Fyne to end its loop, which can wait forever.
func TestQuit_EndsTheProcessInsideTheLoop(t *testing.T) {
	app := noQuit{newTestApp(t), t}
	node := enginetest.New(t, 0).Start(engine.Config{Name: "Anna"})
	for name, quit := range map[string]func(*UI){
		"the menu":         (*UI).quit,
		"the window":       (*UI).closed,
		"a start failure":  func(u *UI) { quitFailure(t, u) },
		"a signal's leave": (*UI).leave,
	} {
		t.Run(name, func(t *testing.T) {
			u := New(Options{App: app, Engine: node.Engine, Do: newLoop().do, Desktop: newFakeDesktop()})
			ended := 0
			u.end = func() { ended++ }
			quit(u)
			if ended != 1 {
				t.Errorf("ended %d times", ended)
			}
		})
	}
}

// quitFailure taps Quit in the window of a program that cannot start.
func quitFailure(t *testing.T, u *UI) {
	t.Helper()
	ShowFailure(u.o.App, engine.ErrClosed, u.end)
	windows := fyne.CurrentApp().Driver().AllWindows()
	for _, o := range test.LaidOutObjects(windows[len(windows)-1].Content()) {
		if b, ok := o.(*widget.Button); ok && b.Text == "Quit" {
			test.Tap(b)
		}
	}
}
