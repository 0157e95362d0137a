// Multipeer is the desktop app: one window over an engine. It sends files and messages to nearby devices, with no
// server and no account.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
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
	cmd, err := ui.ReadCommandLine(os.Args[1:], os.Stdout, cli.Version())
	if err != nil {
		exit(err)
	}
	if cmd.Done {
		return
	}
	log.SetOutput(io.Discard) // libp2p/zeroconf logs here; the failures that matter come back as errors

	if there, err := singleinstance.Hand(cmd.Profile, cmd.Launch); there {
		exit(err) // the window that is already open has received the arguments
	}
	if err := ui.FindDisplay(); err != nil {
		exit(err)
	}
	chosen, trouble := settings.Load(cmd.Profile)
	a := app.NewWithID("io.github.multipeer.Multipeer") // no SetMetadata: packages set the name, icon and version themselves
	trouble = errors.Join(trouble, ui.Dress(a, chosen))
	cfg := ui.Configure(engine.Config{Name: cmd.Name, Service: cmd.Service, Profile: cmd.Profile, Dial: cmd.Peers, Interfaces: cmd.Interfaces}, chosen)
	phones, noPhones := ui.AddLocalSend(&cfg, chosen)
	e, err := engine.New(cfg)
	if err != nil {
		ui.ShowFailure(a, err, func() { exit(err) })
		exit(err)
	}
	kept, err := ui.OpenHistory(cmd.Profile, chosen)
	u := ui.New(ui.Traced(ui.Options{App: a, Engine: e, Do: fyne.Do, Settings: chosen, History: kept, Downloads: cmd.Into, Interfaces: cfg.Interfaces, Welcome: cfg.Hidden, LocalSend: phones, Version: a.Metadata().Version}))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- u.Stopped(e.Run(ctx)) }()
	host := &cli.Host{Engine: e, History: kept, Profile: cmd.Profile, OwnPort: chosen.Port != 0, Interfaces: cfg.Interfaces, LocalSend: phones} // serves multipeer-cli, which does not run a second engine with the same profile
	endCommands, hostErr := host.Start(ctx)
	u.Start(ctx)
	u.Run(cmd.Launch, cmd.Hidden, errors.Join(trouble, noPhones, err, hostErr, u.Listen(cmd.Profile)), func() {
		time.AfterFunc(ui.EndLimit, func() { exit(fmt.Errorf("did not exit within %v", ui.EndLimit)) })
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
