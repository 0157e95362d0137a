package cli

import (
	"fmt"
	"slices"
	"strings"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

// listOr accepts no arguments, "list", or the n arguments that usage describes.
func listOr(n int, usage string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) == 0 || len(args) == n || len(args) == 1 && args[0] == "list" {
			return nil
		}
		return exit(exitUsage, fmt.Errorf("usage: %s", usage))
	}
}

// longestPrefix is the length from which text that is not an ID is reported as a mistyped ID.
const longestPrefix = 40

// knownDevice returns the device that the user means: one that was accepted, verified or blocked before, by its name or
// the start of its ID; any other, by its whole ID.
func knownDevice(e *engine.Engine, who string) (engine.Acquaintance, error) {
	all := e.Acquaintances()
	if id, err := engine.ParsePeerID(who); err == nil {
		for _, a := range all {
			if a.ID == id {
				return a, nil
			}
		}
		return engine.Acquaintance{ID: id}, nil
	} else if len(who) >= longestPrefix {
		return engine.Acquaintance{}, exit(exitUsage, err)
	}
	found := slices.DeleteFunc(all, func(a engine.Acquaintance) bool {
		return !strings.EqualFold(a.Name, who) && !a.ID.HasPrefix(who)
	})
	best := func(t engine.Trust) bool {
		return slices.ContainsFunc(found, func(a engine.Acquaintance) bool { return a.Trust == t })
	}
	if best(engine.TrustVerified) {
		found = slices.DeleteFunc(found, func(a engine.Acquaintance) bool { return a.Trust != engine.TrustVerified })
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return engine.Acquaintance{}, exit(exitNotFound, fmt.Errorf("no known device is called %q; 'multipeer-cli trust list' lists the known ones. For any other device, give the full ID", engine.CleanLine(who)))
	}
	ids := make([]string, 0, len(found))
	for _, a := range found {
		ids = append(ids, fmt.Sprintf("%s (%s)", a.ID, a.Trust))
	}
	return engine.Acquaintance{}, exit(exitUsage, fmt.Errorf("%q matches several devices; give the ID: %s", engine.CleanLine(who), strings.Join(ids, ", ")))
}

// listKnown prints the devices that the user has decided about.
func (p *program) listKnown(e *engine.Engine) error {
	all := e.Acquaintances()
	for _, a := range all {
		last := ""
		if !a.Last.IsZero() {
			last = a.Last.UTC().Format("2006-01-02T15:04:05Z")
		}
		p.out.object(struct {
			Type  string `json:"type"`
			ID    string `json:"id"`
			Name  string `json:"name"`
			Trust string `json:"trust"`
			Last  string `json:"last_connected,omitempty"`
			Bytes int64  `json:"bytes_per_day,omitempty"`
		}{"known", a.ID.String(), a.Name, string(a.Trust), last, a.AutoAccept.Bytes})
		if a.AutoAccept.Bytes > 0 {
			p.out.line("%s  %-8s  %s  (up to %s a day without asking)", a.ID, string(a.Trust), quoted(a.Name), size(a.AutoAccept.Bytes))
		} else {
			p.out.line("%s  %-8s  %s", a.ID, string(a.Trust), quoted(a.Name))
		}
	}
	if len(all) == 0 {
		p.out.note("you have not accepted, verified or blocked any device yet")
	}
	return nil
}
