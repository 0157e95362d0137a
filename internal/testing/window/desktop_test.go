//go:build linux

package window

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestTrayNotificationsAndPicker: if a desktop shows tray icons, the program keeps receiving after its window is
// closed. It announces messages by notifications with fixed text, and a click on one shows the window again.
func TestTrayNotificationsAndPicker(t *testing.T) {
	d := newDesk(t, "light")
	shell, address := newDesktop(t)
	ben := d.start("Ben") // without a desktop
	d.bus = address
	anna := d.start("Anna")
	anna.saw(`EVT tray`)
	within(t, "the icon", func() bool { shell.mu.Lock(); defer shell.mu.Unlock(); return shell.tray != "" })
	anna.saw(`EVT peer "Ben"`)
	within(t, "Ben in the tray's menu", func() bool { _, ok := shell.menu(t)["Ben"]; return ok })
	for _, label := range []string{"Show Multipeer", "Quit"} {
		if _, ok := shell.menu(t)[label]; !ok {
			t.Errorf("the tray has no %q: %v", label, shell.menu(t))
		}
	}

	// The system's file dialog, and names that are escaped in URLs.
	odd := write(t, filepath.Join(d.dir, "a+b 100% ü.txt"), "odd")
	shell.mu.Lock()
	shell.picks = []string{"file://" + strings.NewReplacer("%", "%25", " ", "%20", "ü", "%C3%BC").Replace(odd)}
	shell.mu.Unlock()
	anna.click("row:Ben")
	anna.press("ctrl+o")
	anna.saw(`EVT picked \["` + strings.NewReplacer("+", `\+`).Replace(odd) + `"\]`)
	ben.saw(`EVT transfer "a\+b 100% ü.txt" offered incoming=true`)
	ben.click("row:Anna")
	ben.click("accept")
	anna.saw(`EVT transfer "a\+b 100% ü.txt" delivered`)

	// Closed to the tray, the program keeps running.
	anna.press("ctrl+w")
	anna.saw(`EVT hidden`)
	within(t, "the word that it goes on", func() bool {
		return len(shell.notes()) > 0 && strings.HasPrefix(shell.notes()[len(shell.notes())-1], "Multipeer is still running")
	})
	secret := "<b>$(peer text)</b>"
	ben.click("entry")
	ben.typed(secret)
	ben.press("Return")
	anna.saw(`EVT connected "Ben"|EVT invitation from "Ben"|EVT message`)
	within(t, "a notification", func() bool { return len(shell.notes()) > 1 })
	for _, n := range shell.notes() {
		if strings.Contains(n, "peer text") || strings.Contains(n, "odd") {
			t.Errorf("a peer's words are in a notification: %q", n)
		}
	}

	// Ben is known by now: his next file is accepted by the button of a notification, which leaves the window hidden.
	before := len(shell.notes())
	ben.drop("timeline", write(t, filepath.Join(d.dir, "accepted-outside.txt"), strings.Repeat("x", 300_000_000)))
	within(t, "a notification with the name", func() bool {
		all := shell.notes()
		return len(all) > before && all[len(all)-1] == "Ben: Wants to send 300 MB"
	})
	if err := shell.click("Accept"); err != nil {
		t.Fatal(err)
	}
	anna.saw(`EVT transfer "accepted-outside.txt" delivered incoming=true`)
	within(t, "the progress in the dock, until the end", func() bool {
		all := shell.docked()
		return len(all) > 1 && strings.HasPrefix(all[0], "application://multipeer.desktop ") && all[len(all)-1] == "hidden"
	})
	if strings.Contains(anna.lines(), "EVT raised") {
		t.Error("the button has raised the window")
	}
	within(t, "a notification that it has arrived", func() bool { return strings.HasPrefix(shell.notes()[len(shell.notes())-1], "Ben: Files received") })
	if err := shell.click("Show"); err != nil {
		t.Fatal(err)
	}
	anna.saw(`EVT raised`)

	// The tray's menu shows a conversation again, and then quits the program.
	anna.press("ctrl+w")
	within(t, "hidden again", func() bool { return strings.Count(anna.lines(), "EVT hidden") == 2 })
	raised := strings.Count(anna.lines(), "EVT raised")
	label := "Ben"
	within(t, "Ben in the menu", func() bool {
		for l := range shell.menu(t) {
			if strings.HasPrefix(l, "Ben") {
				label = l
				return true
			}
		}
		return false
	})
	shell.pick(t, label)
	within(t, "raised again", func() bool { return strings.Count(anna.lines(), "EVT raised") > raised })
	shell.pick(t, "Quit")
	done := make(chan error, 1)
	go func() { done <- anna.cmd.Wait() }()
	select {
	case err := <-done:
		if err != nil {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Error("Quit does not end it")
	}
	ben.saw(`EVT lost "Anna"`)
	anna.sound()
}
