package cli

import (
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// valueNames lists what help and manual print after each flag.
var valueNames = map[string]string{
	"accept": "POLICY", "as": "NAME", "at-login": "on|off", "count": "N", "days": "N", "drop": "ID", "existing": "POLICY",
	"for": "TIME", "idle": "TIME", "interface": "NAME", "into": "DIR", "localsend-pin": "PIN", "mode": "MODE", "name": "NAME",
	"note": "TEXT", "peer": "HOST:PORT", "port": "N", "profile": "DIR", "reserve": "BYTES", "search": "TEXT", "service": "TYPE",
	"text": "TEXT", "to": "PEER", "up-to": "SIZE", "visible": "WHO", "visitors": "N", "wait": "TIME", "with": "PEER",
}

// namedValue is the value of a flag with a name for its kind of value.
type namedValue struct {
	pflag.Value
	name string
}

// Type implements pflag.Value.
func (n namedValue) Type() string { return n.name }

// valueOf returns the value of a flag as it was defined.
func valueOf(f *pflag.Flag) pflag.Value {
	if n, ok := f.Value.(namedValue); ok {
		return n.Value
	}
	return f.Value
}

// nameValues gives the flags of a command and its subcommands the names of their values.
func nameValues(c *cobra.Command) {
	name := func(f *pflag.Flag) {
		if n := valueNames[f.Name]; n != "" && f.Value.Type() != "bool" {
			f.Value = namedValue{valueOf(f), n}
			if f.DefValue == "[]" { // no default
				f.DefValue = ""
			}
		}
	}
	c.PersistentFlags().VisitAll(name)
	c.Flags().VisitAll(name)
	for _, sub := range c.Commands() {
		nameValues(sub)
	}
}
