package ui

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/test"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// received shows a delivered transfer with the given files, and returns its card.
func (s *stage) received(paths ...string) *transferCard {
	s.conversation()
	tr := s.transferOf(engine.Delivered, true, func(t *engine.Transfer) { t.ID, t.Saved = "received", paths })
	s.apply([]engine.Event{tr})
	for i := range s.talk(s.ben).Count() {
		row := s.talk(s.ben).Row(i)
		if day, ok := row.(*dayItem); ok {
			row = day.item
		}
		if c, ok := row.(*transferCard); ok && c.now.ID == tr.ID {
			return c
		}
	}
	return nil
}

// filesIn creates files, and returns their paths.
func filesIn(t *testing.T, names ...string) (paths []string) {
	dir := t.TempDir()
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
		if err := os.WriteFile(paths[len(paths)-1], []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return paths
}

func TestCopyFiles_ToTheClipboard(t *testing.T) {
	s := newStage(t, nil)
	paths := filesIn(t, "a.txt", "b.txt")
	card := s.received(paths...)
	card.actions.copy()
	s.l.until(t, "the copy", func() bool { return len(s.desk.files) > 0 })
	if got := <-s.desk.files; !slices.Equal(got, paths) {
		t.Errorf("copied %q", got)
	}
	s.l.until(t, "the message", func() bool { return s.toast.Text.Text == "2 files copied. Paste them in a folder." })

	s.desk.noFiles = true
	card.actions.copy()
	s.l.until(t, "the paths", func() bool {
		return fyne.CurrentApp().Clipboard().Content() == paths[0]+"\n"+paths[1]
	})

	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	s.desk.noFiles = false
	card.actions.copy()
	s.l.until(t, "the failure", func() bool { return s.toast.Text.Text != "2 files copied. Paste them in a folder." })
	if len(s.desk.files) > 0 {
		t.Error("a file that is gone was copied")
	}
}

func TestDragOut_GivesTheFilesOfACard(t *testing.T) {
	s := newStage(t, nil)
	paths := filesIn(t, "a.txt", "b.txt", "c.png")
	card := s.received(paths...)
	dragged := func(o fyne.CanvasObject, want ...string) {
		t.Helper()
		source, ok := o.(*widgets.DragSource)
		if !ok {
			t.Fatalf("%T cannot be dragged", o)
		}
		for range 3 { // each movement of the pointer
			source.Dragged(&fyne.DragEvent{})
		}
		source.DragEnd()
		s.l.until(t, "the drag", func() bool { return len(s.desk.files) > 0 })
		if got := <-s.desk.files; !slices.Equal(got, want) || len(s.desk.files) > 0 {
			t.Errorf("dragged %q, and %d more", got, len(s.desk.files))
		}
	}
	var sources []fyne.CanvasObject
	for _, o := range test.LaidOutObjects(card) {
		if _, ok := o.(*widgets.DragSource); ok {
			sources = append(sources, o)
		}
	}
	if len(sources) == 0 {
		t.Fatal("nothing can be dragged")
	}
	dragged(sources[0], paths...)

	moving := s.transferOf(engine.Moving, true, func(t *engine.Transfer) { t.ID, t.Saved = "received", paths })
	card.set(moving)
	if files := card.onDisk(); len(files) > 0 {
		t.Errorf("files that have not arrived can be dragged: %q", files)
	}
}
