package cli

import (
	"errors"
	"fmt"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) autoCommand() *cobra.Command {
	var upTo, into string
	var days int
	var off bool
	c := &cobra.Command{
		Use:   "auto [PEER]",
		Short: "Show or set how much a verified device may send without asking",
		Long: `auto sets how many bytes a verified device may send in 24 hours without asking, and into which folder. PEER is its name or
its ID. With --off, you are asked about each of its offers again.

Without --up-to and --off, auto shows what is set, for one device or for all.`,
		Args:              listOr(1, "auto PEER --up-to 2GB, auto PEER --off, or auto list"),
		ValidArgsFunction: p.completeKnown,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case upTo != "" && off:
				return exit(exitUsage, errors.New("--up-to and --off contradict each other; give one of them"))
			case (upTo != "" || off) && (len(args) == 0 || args[0] == "list"):
				return exit(exitUsage, errors.New("specify the device: auto PEER --up-to 2GB"))
			case upTo == "" && !off:
				for _, name := range []string{"into", "days"} {
					if cmd.Flags().Changed(name) {
						return exit(exitUsage, fmt.Errorf("--%s has an effect only with --up-to", name))
					}
				}
				return p.still(func(e *engine.Engine) error { return p.showRules(e, args) })
			}
			var a engine.AutoAccept
			if upTo != "" {
				var err error
				if a.Bytes, err = parseSize(upTo); err != nil {
					return exit(exitUsage, err)
				}
				if a.Dir, err = p.folder(into); err != nil {
					return exit(exitFailed, err)
				}
				if days > 0 {
					a.Until = time.Now().Add(time.Duration(days) * 24 * time.Hour).UTC().Truncate(time.Second)
				}
			}
			return p.still(func(e *engine.Engine) error {
				known, err := knownDevice(e, args[0])
				if err != nil {
					return err
				}
				if err := e.SetAutoAccept(known.ID, a); err != nil {
					return failed(err)
				}
				known.AutoAccept = a
				p.printRule(known)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&off, "off", false, "ask about each offer again")
	c.Flags().StringVar(&upTo, "up-to", "", "bytes per 24 hours: a `SIZE` such as 500MB or 2GB")
	c.Flags().StringVar(&into, "into", ".", "receive into the folder `DIR`; it is created if it is missing")
	c.Flags().IntVar(&days, "days", 0, "end after `N` days; 0 means never")
	return c
}

// showRules prints what the given device, or every device with a rule, may send without asking.
func (p *program) showRules(e *engine.Engine, args []string) error {
	if len(args) == 1 && args[0] != "list" {
		known, err := knownDevice(e, args[0])
		if err != nil {
			return err
		}
		p.printRule(known)
		return nil
	}
	none := true
	for _, a := range e.Acquaintances() {
		if a.AutoAccept.Bytes > 0 {
			none = false
			p.printRule(a)
		}
	}
	if none {
		p.out.note("no device may send files without asking")
	}
	return nil
}

func (p *program) printRule(a engine.Acquaintance) {
	rule := a.AutoAccept
	until := ""
	if !rule.Until.IsZero() {
		until = rule.Until.UTC().Format(time.RFC3339)
	}
	p.out.object(struct {
		Type  string `json:"type"`
		ID    string `json:"id"`
		Bytes int64  `json:"bytes_per_day"`
		Dir   string `json:"into,omitempty"`
		Until string `json:"until,omitempty"`
	}{"auto", a.ID.String(), rule.Bytes, rule.Dir, until})
	who := a.ID.Short()
	if a.Name != "" {
		who = describe(engine.Peer{ID: a.ID, Name: a.Name})
	}
	if rule.Bytes == 0 {
		p.out.line("%s: you are asked about every offer", who)
		return
	}
	if rule.Until.IsZero() {
		p.out.line("%s: up to %s a day is accepted into %s without asking", who, size(rule.Bytes), rule.Dir)
		return
	}
	p.out.line("%s: up to %s a day is accepted into %s without asking until %s", who, size(rule.Bytes), rule.Dir, rule.Until.Local().Format("2006-01-02 15:04"))
}
