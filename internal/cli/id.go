package cli

import (
	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) idCommand() *cobra.Command {
	return &cobra.Command{
		Use: "id", Short: "Print this peer's ID and name", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return p.still(func(e *engine.Engine) error {
				self := e.Self()
				p.out.object(selfJSON(self))
				p.out.line("%s  %s", self.ID, self.Name)
				return nil
			})
		},
	}
}

func selfJSON(self engine.Self) any {
	return struct {
		Type string `json:"type"`
		ID   string `json:"id"`
		Name string `json:"name"`
	}{"self", self.ID.String(), self.Name}
}
