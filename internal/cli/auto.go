package cli

import (
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) autoCommand() *cobra.Command {
	var upTo, into string
	var days int
	c := &cobra.Command{
		Use:   "auto ID",
		Short: "Accept files from a verified peer without asking, up to a number of bytes a day, into a folder",
		Long: `auto sets how many bytes are accepted from a verified peer without asking. ID is the whole ID. Without --up-to, you are
asked about every offer again.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := engine.ParsePeerID(args[0])
			if err != nil {
				return exit(exitUsage, err)
			}
			var a engine.AutoAccept
			if upTo != "" {
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
			if err := p.still(func(e *engine.Engine) error { return failed(e.SetAutoAccept(id, a)) }); err != nil {
				return err
			}
			p.out.object(struct {
				Type  string `json:"type"`
				ID    string `json:"id"`
				Bytes int64  `json:"bytes_per_day"`
				Dir   string `json:"into,omitempty"`
			}{"auto", id.String(), a.Bytes, a.Dir})
			if a.Bytes == 0 {
				p.out.line("you will be asked about every offer from %s", id.Short())
			} else {
				p.out.line("up to %s a day from %s is accepted into %s without asking", size(a.Bytes), id.Short(), a.Dir)
			}
			return nil
		},
	}
	c.Flags().StringVar(&upTo, "up-to", "", "bytes per 24 hours, such as 500MB or 2GB")
	c.Flags().StringVar(&into, "into", ".", "folder to receive into; created if it is missing")
	c.Flags().IntVar(&days, "days", 0, "number of days; 0 means no time limit")
	return c
}
