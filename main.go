// Multipeer is the desktop app: one window over an engine. It sends files and messages to nearby devices, with no
// server and no account.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"strings"
	"time"

	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/app"

	"multipeer/engine"
	"multipeer/internal/cli"
	"multipeer/internal/settings"
	"multipeer/internal/singleinstance"
	"multipeer/ui"
)

func main() {
	dir := flag.String("profile", "", "the folder `DIR` with this peer's identity, settings and conversations (default: multipeer in the system's settings folder)")
	name := flag.String("name", "", "the `NAME` that others see")
	service := flag.String("service", engine.DefaultService, "service `TYPE`: only peers of the same type find each other")
	peers := flag.String("peer", "", "connect to `HOST:PORT`[,HOST:PORT...] where peers cannot be found by multicast")
	ifaces := flag.String("interface", "", "find peers only on the network interfaces `NAMES` (comma-separated)")
	into := flag.String("into", "", "the folder `DIR` for received files (default: from the settings)")
	hidden := flag.Bool("hidden", false, "start in the tray, if there is one")
	version := flag.Bool("version", false, "print the version")
	flag.Usage = func() { ui.Usage(flag.CommandLine.Output(), flag.CommandLine) }
	flag.Parse() // the remaining arguments are files and folders to send, or a multipeer: link to open
	if *version {
		fmt.Println("multipeer version", cli.Version())
		return
	}
	log.SetOutput(io.Discard) // libp2p/zeroconf logs here; the failures that matter come back as errors

	profile, err := ui.Profile(*dir)
	launch, bad := ui.Launched(flag.CommandLine)
	if err := errors.Join(err, bad); err != nil {
		exit(err)
	}
	if there, err := singleinstance.Hand(profile, launch); there {
		exit(err) // the window that is already open has received it
	}
	if err := ui.NoDisplay(); err != nil {
		exit(err)
	}
	chosen, trouble := settings.Load(profile)
	a := app.NewWithID("io.github.multipeer.Multipeer") // no SetMetadata: packages set the name, icon and version themselves
	trouble = errors.Join(trouble, ui.Dress(a, chosen))
	cfg := ui.Configure(engine.Config{Name: *name, Service: *service, Profile: profile, Dial: list(*peers), Interfaces: list(*ifaces)}, chosen)
	phones, noPhones := ui.AddLocalSend(&cfg, chosen)
	e, err := engine.New(cfg)
	if err != nil {
		ui.ShowFailure(a, err, func() { exit(err) })
		exit(err)
	}
	kept, err := ui.OpenHistory(profile, chosen)
	u := ui.New(ui.Traced(ui.Options{App: a, Engine: e, Do: fyne.Do, Settings: chosen, History: kept, Downloads: *into, Interfaces: cfg.Interfaces, Welcome: cfg.Hidden, LocalSend: phones, Version: a.Metadata().Version}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Stopped(e.Run(ctx)) }()
	host := &cli.Host{Engine: e, History: kept, Profile: profile, OwnPort: chosen.Port != 0, Interfaces: cfg.Interfaces, LocalSend: phones} // serves multipeer-cli, which does not run a second engine with the same profile
	endCommands, hostErr := host.Start(ctx)
	u.Start(ctx)
	u.Run(launch, *hidden, errors.Join(trouble, noPhones, err, hostErr, u.Listen(profile)), func() {
		time.AfterFunc(ui.EndLimit, func() { exit(fmt.Errorf("did not end within %v", ui.EndLimit)) })
		u.Close()
		endCommands()
		stop()
		exit(errors.Join(<-ended, kept.Close(), u.StartAgain()))
	})
}

func exit(err error) {
	if err == nil {
		os.Exit(0)
	}
	fmt.Fprintln(os.Stderr, "multipeer:", err)
	os.Exit(1)
}

func list(s string) []string { return strings.FieldsFunc(s, func(r rune) bool { return r == ',' }) }
