package ui

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/instance"
	"multipeer/internal/settings"
)

// Launched reads what a program was started with: paths, which become absolute, and a link.
func Launched(args []string) (l instance.Launch) {
	for _, a := range args {
		if strings.HasPrefix(a, "multipeer:") {
			l.Link = a
			continue
		}
		if u, err := url.Parse(a); err == nil && u.Scheme == "file" && (u.Host == "" || u.Host == "localhost") { // from a file manager
			a = filepath.FromSlash(u.Path)
		}
		if p, err := filepath.Abs(a); err == nil {
			l.Paths = append(l.Paths, p)
		}
	}
	return l
}

// Dress gives the app the look and the language of the settings. An error leaves it usable, in English.
func Dress(a fyne.App, s *settings.Settings) error {
	a.Settings().SetTheme(themeOf(s))
	return speak(s.Language)
}

// Configure adds to a configuration what the settings say; the first contact is asked for, once.
func Configure(cfg engine.Config, s *settings.Settings) engine.Config {
	if len(cfg.Interfaces) == 0 {
		cfg.Interfaces = s.Interfaces
	}
	cfg.Port, cfg.Visible, cfg.Invite, cfg.Accept = s.Port, Visibility(s), Acceptance(s), Acceptance(s)
	return cfg
}

// OpenHistory opens the conversations of a profile, or, with an error, keeps them in memory. If the settings want none,
// those that were kept before are deleted.
func OpenHistory(profile string, s *settings.Settings) (*history.Store, error) {
	path := filepath.Join(profile, "history.db")
	if s.NoHistory {
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			return history.Memory(), err
		}
		return history.Memory(), nil
	}
	h, err := history.Open(path)
	if err != nil {
		return history.Memory(), err
	}
	return h, nil
}

// Traced adds to options where a test wants to read what happens: on standard output, if MULTIPEER_TRACE is set; to
// "frames" with how late the main thread is, to "events" without where things are.
func Traced(o Options) Options {
	if mode := os.Getenv("MULTIPEER_TRACE"); mode != "" {
		o.Trace, o.TraceLess = os.Stdout, mode == "events"
	}
	return o
}

// Profile is the folder of a profile: the one that was named, or the user's.
func Profile(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the folder for settings: %w; give -profile DIR", err)
	}
	return filepath.Join(dir, "multipeer"), nil
}

// Listen takes what later starts with the profile bring, from now until Close, which waits for the end of it. Call it
// after Start.
func (u *UI) Listen(profile string) error {
	l, err := instance.Listen(profile)
	if err != nil {
		return err
	}
	u.bind.run(func(ctx context.Context) { l.Run(ctx, u.Launch) })
	return nil
}

// Launch takes what a start of the program has brought; false if the program is about to end. It may be called on any
// goroutine but the main one, after Start.
func (u *UI) Launch(l instance.Launch) bool {
	taken := make(chan bool, 1)
	u.o.Do(func() {
		if !u.finished {
			u.taken(l)
		}
		taken <- !u.finished
	})
	select {
	case ok := <-taken:
		return ok
	case <-time.After(2 * time.Second): // less than the other start waits
		return false
	}
}

// Stopped tells that the engine has ended, and why, if it was not this program's end. It may be called on any goroutine.
func (u *UI) Stopped(err error) {
	if err == nil {
		return
	}
	u.o.Do(func() {
		if !u.finished {
			u.problem = err
			u.say(tr("Multipeer cannot use the network: {{.Why}}.", "Why", engine.CleanLine(err.Error())))
			u.settle()
		}
	})
}

// taken brings the window to the front with what is to be sent.
func (u *UI) taken(l instance.Launch) {
	u.trace("launched with %q %q", l.Paths, l.Link)
	u.raise()
	if len(l.Paths) > 0 {
		u.wait(l.Paths)
	}
	if l.Link != "" {
		u.openLink(l.Link)
	}
	u.settle()
}

// Run shows the window and blocks until the program ends. trouble is what went wrong on the way here; hidden leaves the
// window in the tray, if there is one.
func (u *UI) Run(l instance.Launch, hidden bool, trouble error) {
	life := u.o.App.Lifecycle()
	life.SetOnEnteredForeground(func() { u.seen(true) })
	life.SetOnExitedForeground(func() { u.seen(false) })
	life.SetOnStarted(func() {
		u.trace("started")
		if trouble != nil {
			u.say(reason(fmt.Errorf("%w", trouble), "", true))
		}
		if len(l.Paths) > 0 || l.Link != "" {
			u.taken(l)
		}
		u.o.Do(func() { u.o.Do(func() { u.trace("shown") }) }) // by then a frame was drawn
	})
	if !hidden || u.tray == nil {
		u.w.Show()
	} else {
		u.front = false
	}
	u.o.App.Run()
	u.over.Store(true)
}
