package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"
)

// manCommand generates the manual pages from the commands, for packages.
func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man DIR", Short: "Write the manual pages into a folder", Args: cobra.ExactArgs(1), Hidden: true, Annotations: alone,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := os.MkdirAll(args[0], 0o755); err != nil {
				return fmt.Errorf("writing the manual pages: %w", err)
			}
			root := cmd.Root()
			root.DisableAutoGenTag = true
			if err := writeManual(root, args[0], manualDate()); err != nil {
				return fmt.Errorf("writing the manual pages: %w", err)
			}
			return nil
		},
	}
}

// manualDate is the date of the pages: that of the source, so that the same source always gives the same pages.
func manualDate() time.Time {
	if seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64); err == nil {
		return time.Unix(seconds, 0).UTC()
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if t, err := time.Parse(time.RFC3339, s.Value); s.Key == "vcs.time" && err == nil {
				return t.UTC()
			}
		}
	}
	return time.Now().UTC()
}

// writeManual writes the page of a command, and those of its subcommands.
func writeManual(cmd *cobra.Command, dir string, date time.Time) error {
	if !cmd.IsAvailableCommand() && cmd.HasParent() {
		return nil
	}
	for _, sub := range cmd.Commands() {
		if err := writeManual(sub, dir, date); err != nil {
			return err
		}
	}
	name := strings.ReplaceAll(cmd.CommandPath(), " ", "-")
	header := &doc.GenManHeader{Title: strings.ToUpper(name), Section: "1", Date: &date, Source: "Multipeer", Manual: "Multipeer"}
	var page bytes.Buffer
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	text := page.String()
	for _, flags := range []*pflag.FlagSet{cmd.NonInheritedFlags(), cmd.InheritedFlags()} {
		flags.VisitAll(func(f *pflag.Flag) { text = withValueName(text, f) })
	}
	text = strings.Replace(text, ".SH EXAMPLE\n", ".SH EXAMPLES\n", 1)
	before, after, found := strings.Cut(text, "\n.SH SEE ALSO")
	text = before + manualEnd
	if found {
		text += "\n.SH SEE ALSO" + after
	}
	return os.WriteFile(filepath.Join(dir, name+".1"), []byte(text), 0o644)
}

// withValueName shows a flag in a page as a person types it: --to PEER, and its default after the description.
func withValueName(text string, f *pflag.Flag) string {
	value, usage := pflag.UnquoteUsage(f)
	head := `\fB--` + f.Name + `\fP`
	start := strings.Index(text, head)
	if start < 0 {
		return text
	}
	rest := text[start+len(head):]
	line, after, _ := strings.Cut(rest, "\n")
	written, after, _ := strings.Cut(after, "\n")
	if value != "" {
		line = ` \fI` + value + `\fP`
	} else {
		line = strings.TrimSuffix(line, "[=false]")
	}
	written = strings.Replace(written, f.Usage, usage, 1)
	if unset := f.DefValue == "" || f.DefValue == "[]" || f.DefValue == "false" || f.DefValue == "0"; !unset {
		written += " (default " + f.DefValue + ")"
	}
	return text[:start+len(head)] + line + "\n" + written + "\n" + after
}

// manualEnd is what all pages have in common.
const manualEnd = `

.SH EXIT STATUS
.TP
0
done
.TP
1
failed
.TP
2
usage error
.TP
3
peer not found
.TP
4
declined or cancelled by the other side
.TP
5
delivered, but something was left out
.TP
130
interrupted before finishing

.SH FILES
.TP
\fI$XDG_CONFIG_HOME/multipeer\fP, \fI~/.config/multipeer\fP
the profile on Linux: the identity, the decisions about other devices, pending transfers, and the history
.TP
\fI~/Library/Application Support/multipeer\fP
the profile on macOS
.TP
\fI%AppData%\emultipeer\fP
the profile on Windows
.TP
\fI.multipeer-partial\fP
in a receiving folder: the part of each incomplete transfer that has arrived
`
