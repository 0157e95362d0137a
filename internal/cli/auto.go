package cli

import (
	"errors"
	"fmt"
	"strings"
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
		Long: `auto sets how much a verified device may send in 24 hours without asking you, and which folder it goes into. PEER is
its name or its ID. Options that you leave out keep their values; the first time, --up-to and --into are required. With --off,
you are asked about each of its offers again.

Without options, auto shows what is set, for one device or for all.`,
		Args:              listOr(1, "auto PEER --up-to 2GB --into DIR, auto PEER --off, or auto list"),
		ValidArgsFunction: p.completeKnown,
		RunE: func(cmd *cobra.Command, args []string) error {
			changes := cmd.Flags().Changed("up-to") || cmd.Flags().Changed("into") || cmd.Flags().Changed("days")
			switch {
			case changes && off:
				return exit(exitUsage, errors.New("--off cannot be combined with --up-to, --into or --days"))
			case (changes || off) && (len(args) == 0 || args[0] == "list"):
				return exit(exitUsage, errors.New("specify the device: auto PEER --up-to 2GB --into DIR"))
			case days < 0 || days > maxDays:
				return exit(exitUsage, fmt.Errorf("--days must be between 0 and %d; 0 means that the rule does not expire", maxDays))
			case !changes && !off:
				return p.still(func(e *engine.Engine) error { return p.showRules(e, args) })
			}
			return p.still(func(e *engine.Engine) error {
				known, err := knownDevice(e, args[0])
				if err != nil {
					return err
				}
				rule := engine.AutoAccept{}
				if !off {
					if known.Trust != engine.TrustVerified {
						return exit(exitUsage, fmt.Errorf("%s is not verified; run 'multipeer-cli pair --to %s' first", nameOrID(known), shellWord(nameOrID(known))))
					}
					if rule, err = p.changedRule(cmd, known.AutoAccept, upTo, into, days); err != nil {
						return err
					}
				}
				if err := e.SetAutoAccept(known.ID, rule); err != nil {
					return failed(err)
				}
				known.AutoAccept = rule
				p.printRule(known)
				return nil
			})
		},
	}
	c.Flags().BoolVar(&off, "off", false, "remove the rule: ask about each offer")
	c.Flags().StringVar(&upTo, "up-to", "", "how much may arrive in 24 hours, such as 500MB or 2GB")
	c.Flags().StringVar(&into, "into", "", "folder to receive into; created if it is missing")
	c.Flags().IntVar(&days, "days", 0, "the rule expires after this many days; 0 means never")
	return c
}

// maxDays limits the time for which a rule holds.
const maxDays = 36500

// changedRule applies the given flags to a rule.
func (p *program) changedRule(cmd *cobra.Command, rule engine.AutoAccept, upTo, into string, days int) (engine.AutoAccept, error) {
	var err error
	if upTo != "" {
		if rule.Bytes, err = parseSize(upTo); err != nil {
			return rule, exit(exitUsage, err)
		}
	}
	if rule.Bytes == 0 {
		return rule, exit(exitUsage, errors.New("--up-to is missing: it says how much may arrive in 24 hours"))
	}
	if into != "" {
		if rule.Dir, _, err = p.folder(into); err != nil {
			return rule, exit(exitFailed, err)
		}
	}
	if rule.Dir == "" {
		return rule, exit(exitUsage, errors.New("--into is missing: it says which folder the files go into"))
	}
	if cmd.Flags().Changed("days") {
		rule.Until = time.Time{}
		if days > 0 {
			rule.Until = time.Now().UTC().AddDate(0, 0, days).Truncate(time.Second)
		}
	}
	return rule, nil
}

// nameOrID returns the name of a device, or its ID if it has none.
func nameOrID(a engine.Acquaintance) string {
	if a.Name == "" {
		return a.ID.String()
	}
	return a.Name
}

// shellWord quotes a name for a command line that a person copies.
func shellWord(s string) string {
	if strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
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
		p.out.line("%s: nothing is accepted automatically", who)
		return
	}
	if rule.Until.IsZero() {
		p.out.line("%s: up to %s a day is accepted into %s without asking", who, size(rule.Bytes), rule.Dir)
		return
	}
	p.out.line("%s: up to %s a day is accepted into %s without asking until %s", who, size(rule.Bytes), rule.Dir, rule.Until.Local().Format("2006-01-02 15:04"))
}
