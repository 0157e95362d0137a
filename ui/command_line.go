package ui

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"

	"multipeer/engine"
	"multipeer/internal/singleinstance"
)

// CommandLine holds the options and arguments that the window was started with.
type CommandLine struct {
	Profile           string // the folder of the profile
	Name              string
	Service           string
	Into              string // the folder for received files; empty for the one in the settings
	Peers, Interfaces []string
	Hidden            bool
	Launch            singleinstance.Launch // files and folders to send, or a link to open
	Done              bool                  // help or version was printed, so the program is done
}

// ReadCommandLine reads the arguments of the program. It prints help and version to out.
func ReadCommandLine(args []string, out io.Writer, version string) (c CommandLine, err error) {
	flags := flag.NewFlagSet("multipeer", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	dir := flags.String("profile", "", "the folder `DIR` with this peer's identity, settings and conversations (default: multipeer in the system's settings folder)")
	flags.StringVar(&c.Name, "name", "", "the `NAME` that others see")
	flags.StringVar(&c.Service, "service", engine.DefaultService, "service `TYPE`: only peers of the same type find each other")
	peers := flags.String("peer", "", "connect to `HOST:PORT`[,HOST:PORT...] where peers cannot be found by multicast")
	interfaces := flags.String("interface", "", "find peers only on the network interfaces `NAMES` (comma-separated)")
	flags.StringVar(&c.Into, "into", "", "the folder `DIR` for received files (default: from the settings)")
	flags.BoolVar(&c.Hidden, "hidden", false, "start in the tray, if there is one")
	wantsVersion := flags.Bool("version", false, "print the version")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		c.Done = true
		return c, printUsage(out, flags)
	case err != nil:
		return c, fmt.Errorf("%w; 'multipeer --help' lists the flags", err)
	case *wantsVersion:
		c.Done = true
		_, err := fmt.Fprintln(out, "multipeer version", version)
		return c, err
	}
	if c.Launch, err = Launched(flags); err != nil {
		return c, err
	}
	c.Peers, c.Interfaces = commaSeparated(*peers), commaSeparated(*interfaces)
	c.Profile, err = Profile(*dir)
	return c, err
}

func commaSeparated(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' })
}

func printUsage(out io.Writer, flags *flag.FlagSet) error {
	var b strings.Builder
	b.WriteString(`Multipeer sends files and messages to nearby devices, without a server or an account.

Usage:
  multipeer [flags] [FILE... | multipeer:LINK]

The window opens, or the one that is open comes to the front, with the files ready to be sent. 'multipeer-cli' is the same
engine in a terminal.

Flags:
`)
	flags.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		fmt.Fprintf(&b, "  --%-20s %s\n", strings.TrimSpace(f.Name+" "+value), usage)
	})
	_, err := io.WriteString(out, b.String())
	return err
}
