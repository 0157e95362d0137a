// Multipeer is the desktop app: one window over an engine. Files and messages
// for the devices nearby, with no server and no account.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"multipeer/engine"
	"multipeer/ui"
)

func main() {
	profile := flag.String("profile", "", "folder with this peer's identity (default: multipeer in the system's folder for settings)")
	name := flag.String("name", "", "name that others see")
	service := flag.String("service", engine.DefaultService, "service type: only peers of the same type find each other")
	peers := flag.String("peer", "", "connect to HOST:PORT[,HOST:PORT...] where peers cannot be found by multicast")
	ifaces := flag.String("interface", "", "find peers on these network interfaces only (comma separated)")
	into := flag.String("into", ui.Downloads(), "folder for received files")
	flag.Parse()
	log.SetOutput(io.Discard) // libp2p/zeroconf logs here; what matters of it comes back as errors

	a := app.NewWithID("io.github.multipeer.Multipeer") // not SetMetadata: packages set name, icon and version themselves
	a.Settings().SetTheme(ui.Theme{})
	e, err := newEngine(*profile, engine.Config{Name: *name, Service: *service, Dial: list(*peers), Interfaces: list(*ifaces)})
	if err != nil {
		fmt.Fprintln(os.Stderr, "multipeer:", err)
		ui.ShowFailure(a, err)
		os.Exit(1)
	}
	var trace io.Writer
	if os.Getenv("MULTIPEER_TRACE") != "" {
		trace = os.Stdout
	}
	u := ui.New(ui.Options{App: a, Engine: e, Do: fyne.Do, Desktop: ui.NewDesktop(a), Downloads: *into, Trace: trace})
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	u.Start(ctx)
	u.Window().ShowAndRun() // returns on close, Quit, SIGINT and SIGTERM
	u.Close()
	stop()
	if err := <-ended; err != nil {
		fmt.Fprintln(os.Stderr, "multipeer:", err)
		os.Exit(1)
	}
}

func newEngine(profile string, cfg engine.Config) (*engine.Engine, error) {
	if profile == "" {
		dir, err := os.UserConfigDir()
		if err != nil {
			return nil, err
		}
		profile = filepath.Join(dir, "multipeer")
	}
	cfg.Profile, cfg.Invite, cfg.Accept = profile, engine.Known, engine.Known // the first contact is asked for, once
	return engine.New(cfg)
}

func list(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}
