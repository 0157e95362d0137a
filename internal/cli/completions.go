package cli

import (
	"strings"
	"unicode"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

// flagValues lists the values of flags that take one of a few, by the name of the command; "" stands for any command.
var flagValues = map[string]map[string][]string{
	"": {
		"existing": {"keep", "skip", "replace"},
		"visible":  {"everyone", "known", "nobody"},
	},
	"receive": {"accept": {"ask", "verified", "all"}},
	"serve":   {"accept": {"auto", "verified", "all"}, "at-login": {"on", "off"}},
	"link":    {"accept": {"ask", "all"}},
	"ping":    {"mode": {"reliable", "unreliable", "stream"}},
}

// addCompletions tells shells what can follow: values, folders, and the names of known devices.
func (p *program) addCompletions(c *cobra.Command) {
	for _, of := range []string{"", c.Name()} {
		for flag, values := range flagValues[of] {
			if c.Flag(flag) != nil {
				_ = c.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
			}
		}
	}
	for _, flag := range []string{"into", "profile"} {
		if c.Flag(flag) != nil {
			_ = c.MarkFlagDirname(flag)
		}
	}
	for _, flag := range []string{"to", "with"} {
		if c.Flag(flag) != nil && c.Name() != "doctor" {
			_ = c.RegisterFlagCompletionFunc(flag, p.completeKnown)
		}
	}
	for _, sub := range c.Commands() {
		p.addCompletions(sub)
	}
}

// completeKnown lists the names of known devices. It lists none while another program uses the profile.
func (p *program) completeKnown(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	_ = p.still(func(e *engine.Engine) error {
		for _, a := range e.Acquaintances() {
			names = append(names, completion(a))
		}
		return nil
	})
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completion returns what a shell may insert for a device. The scripts of bash, fish and PowerShell evaluate it as a
// command line, and the device has chosen its name: only a name that every shell takes as one plain word is completed.
// For any other, it is the start of the ID, with the name's plain characters as a description.
func completion(a engine.Acquaintance) string {
	plain := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' || r == '.' {
			return r
		}
		return '_'
	}, a.Name)
	if plain == a.Name && plain != "" && !strings.HasPrefix(plain, "-") { // guard: completed-names
		return plain
	}
	return a.ID.Short() + "\t" + plain
}

// completeTrust lists known devices, then levels.
func (p *program) completeTrust(c *cobra.Command, args []string, text string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return []string{"verified", "seen", "blocked", "unknown"}, cobra.ShellCompDirectiveNoFileComp
	}
	names, directive := p.completeKnown(c, args, text)
	if len(args) == 0 {
		names = append(names, "list")
	}
	return names, directive
}
