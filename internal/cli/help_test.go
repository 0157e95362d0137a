package cli

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// TestHelp_EveryCommandHasAnExample checks that every help text has an example.
func TestHelp_EveryCommandHasAnExample(t *testing.T) {
	root := (&program{out: newPrinter(os.Stdout, os.Stderr)}).command()
	var visit func(c *cobra.Command)
	visit = func(c *cobra.Command) {
		if c.Runnable() && !c.Hidden && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			visit(sub)
		}
	}
	visit(root)
	for path := range examples {
		if c, _, err := root.Find(strings.Fields(path)[1:]); err != nil || c.CommandPath() != path {
			t.Errorf("examples of %s, which is not a command", path)
		}
	}
}

// TestVersion_IsThatOfTheApp checks that the command-line tool and the window have the same version.
func TestVersion_IsThatOfTheApp(t *testing.T) {
	b, err := os.ReadFile("../../FyneApp.toml")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), "Version = \""+version+"\"") {
		t.Errorf("FyneApp.toml does not say %s", version)
	}
}
