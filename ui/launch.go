package ui

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"fyne.io/fyne/v2"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/internal/history"
	"multipeer/internal/settings"
	"multipeer/internal/singleinstance"
	"multipeer/ui/internal/desktop"
	"multipeer/ui/internal/widgets"
)

// Launched parses the command line: paths, which become absolute, and a link. An empty argument or flag value is an
// error. It is most likely an unset shell variable, and as a path it would mean the working folder.
func Launched(flags *flag.FlagSet) (l singleinstance.Launch, err error) {
	flags.Visit(func(f *flag.Flag) {
		if f.Value.String() == "" && f.Name != "name" && err == nil { // an empty name keeps the profile's name
			err = fmt.Errorf("-%s is empty; check that the variable it comes from is set", f.Name)
		}
	})
	if err != nil {
		return l, err
	}
	for i, a := range flags.Args() {
		if a == "" {
			return l, fmt.Errorf("argument %d is empty; check that the variable it comes from is set", i+1)
		}
		if strings.HasPrefix(a, "multipeer:") {
			l.Link = a
			continue
		}
		if u, err := url.Parse(a); err == nil && u.Scheme == "file" && (u.Host == "" || u.Host == "localhost") { // file managers pass file URLs
			a = filepath.FromSlash(u.Path)
		}
		p, err := filepath.Abs(a)
		if err != nil {
			return l, err
		}
		l.Paths = append(l.Paths, p)
	}
	return l, nil
}

// FindDisplay finds the display to open the window on; the error says why there is none.
func FindDisplay() error {
	if err := desktop.FindDisplay(); err != nil {
		return fmt.Errorf("%w; 'multipeer-cli receive' receives in the terminal", err)
	}
	return nil
}

// Dress applies the theme and the language of the settings. If it returns an error, the app is usable in English.
func Dress(a fyne.App, s *settings.Settings) error {
	a.Settings().SetTheme(themeOf(s))
	return speak(s.Language)
}

// themeOf returns the theme that the settings select.
func themeOf(s *settings.Settings) widgets.Theme {
	look := map[string]widgets.Look{settings.Light: widgets.LookLight, settings.Dark: widgets.LookDark, settings.Contrast: widgets.LookContrast}[s.Appearance]
	return widgets.Theme{Look: look, Scale: s.TextScale(), Still: s.Still, Touch: fyne.CurrentDevice().IsMobile()}
}

// Configure applies the settings to a configuration. First contact with a device always needs the user's consent.
func Configure(cfg engine.Config, s *settings.Settings) engine.Config {
	if len(cfg.Interfaces) == 0 {
		cfg.Interfaces = s.Interfaces
	}
	cfg.Port = s.Port
	cfg.Visible = Visibility(s)
	cfg.Invite = Acceptance(s)
	cfg.Accept = Acceptance(s)
	cfg.Offers = engine.Everyone // each offer is a question
	if Welcomes(s, cfg.Name) {
		cfg.Hidden, cfg.Blind = true, true // a device that only browses still reveals its name to the devices that it finds
	}
	return cfg
}

// AddLocalSend adds the LocalSend gateway to a configuration; its key is in the profile. The window also works without
// a gateway.
func AddLocalSend(cfg *engine.Config, s *settings.Settings) (*localsend.Gateway, error) {
	g, err := localsend.New(localsend.Options{Dir: cfg.Profile, PIN: s.PIN, Interfaces: cfg.Interfaces})
	if err != nil {
		return nil, err
	}
	g.SetOn(!s.NoLocalSend && !cfg.Hidden)
	cfg.Gateways = append(cfg.Gateways, g)
	return g, nil
}

// OpenHistory opens the conversations of a profile. If that fails, it returns an in-memory history and the error. If
// the settings turn the history off, it deletes the saved one.
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

// Traced makes the options trace to standard output if MULTIPEER_TRACE is set, for tests. The value "frames" adds the
// latency of the main thread; "events" omits widget positions.
func Traced(o Options) Options {
	if mode := os.Getenv("MULTIPEER_TRACE"); mode != "" {
		o.Trace, o.TraceLess = os.Stdout, mode == "events"
	}
	return o
}

// Profile returns the profile folder: the named one, or the user's default.
func Profile(named string) (string, error) {
	if named != "" {
		return named, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("finding the settings folder: %w; give -profile DIR", err)
	}
	return filepath.Join(dir, "multipeer"), nil
}

// Listen receives the arguments of later starts with the same profile until Close, which waits for the listener to end.
// Call Listen after Start.
func (u *UI) Listen(profile string) error {
	l, err := singleinstance.Listen(profile)
	if err != nil {
		return err
	}
	u.bind.run(func(ctx context.Context) { l.Run(ctx, u.Launch) })
	return nil
}

// Launch handles the arguments of another start of the program. It returns false if this program is about to exit. Call
// it after Start, on any goroutine except the main one.
func (u *UI) Launch(l singleinstance.Launch) bool {
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
	case <-time.After(2 * time.Second): // shorter than the other process waits
		return false
	}
}

// Stopped shows the error with which the engine has stopped, and returns it. It does nothing if err is nil. It may be
// called on any goroutine.
func (u *UI) Stopped(err error) error {
	if err == nil {
		return nil
	}
	u.o.Do(func() {
		if !u.finished {
			u.problem = err
			u.say(tr("Multipeer can't use the network: {{.Why}}.", "Why", engine.CleanLine(err.Error())))
			u.settle()
		}
	})
	return err
}

// taken brings the window to the front and handles the arguments of another start.
func (u *UI) taken(l singleinstance.Launch) {
	u.trace("launched with %q %q", l.Paths, l.Link)
	u.raise()
	if len(l.Paths) > 0 {
		u.sending.wait(l.Paths)
	}
	if l.Link != "" {
		u.pairings.openLink(l.Link, true)
	}
	u.settle()
}

// Run shows the window and runs Fyne's loop. trouble is any error from earlier startup steps. hidden keeps the window in
// the tray, if there is one.
//
// When the user quits, or the process gets SIGINT or SIGTERM, Run calls end on the main thread, once. end must exit the
// process; see leave.
func (u *UI) Run(l singleinstance.Launch, hidden bool, trouble error, end func()) {
	u.end = sync.OnceFunc(end)
	u.o.History.OnProblem(func(problem error) {
		if problem == nil {
			return
		}
		u.o.Do(func() {
			if !u.finished {
				u.trace("toast history %q", problem)
				more := engine.CleanText(problem.Error())
				u.toast.ShowMore(tr("The chat history can't be saved. Free some space on the disk before you quit."), tr("Details"), func() { u.dialogs.details(more) })
				u.settle()
			}
		})
	})
	// Most of the heap is fonts, which stay loaded. The default of 100 lets the heap grow to twice their size before a
	// collection.
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(50)
	}
	life := u.o.App.Lifecycle()
	life.SetOnEnteredForeground(func() { u.notes.seen(true) })
	life.SetOnExitedForeground(func() { u.notes.seen(false) })
	life.SetOnStarted(func() {
		u.trace("started")
		onSignal(func() { u.o.Do(u.leave) }, u.end)
		if trouble != nil {
			u.fail(fmt.Errorf("%w", trouble), "", true)
		}
		if u.o.Welcome {
			u.welcome()
		}
		if len(l.Paths) > 0 || l.Link != "" {
			u.taken(l)
		}
		u.o.Do(func() { u.o.Do(func() { u.trace("shown") }) }) // by then a frame has been drawn
	})
	if !hidden || u.tray == nil {
		u.w.Show()
	} else {
		u.notes.front = false
	}
	u.o.App.Run()
	u.over.Store(true)
	u.end() // Fyne has ended its loop itself, for example because of Quit in the system's own menu
}

// restart ends the program and starts it again.
func (u *UI) restart() {
	u.again = true
	u.saveSize()
	u.leave()
}

// StartAgain starts the program again if restart was called; call it when everything has ended. If the system can
// replace a running program, it does not return.
func (u *UI) StartAgain() error {
	if !u.again {
		return nil
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	return startAgain(program, os.Args)
}

// EndLimit is how long the program may take to end. Commands that are still running have 15 s to end.
const EndLimit = 40 * time.Second

// leave ends the program from inside Fyne's loop. It does not ask Fyne to end the loop: a function that another
// goroutine posts at that moment is lost, and App.Run waits for it forever, or the post panics (runGL and WaitForEvents
// in fyne 2.8.1).
func (u *UI) leave() {
	u.trace("leaving")
	u.hideWindow()
	u.end()
}

// hideWindow hides the window while the program ends. After a signal, Fyne's own handler may already have destroyed the
// window; then Hide panics.
func (u *UI) hideWindow() {
	defer func() { _ = recover() }()
	u.w.Hide()
}
