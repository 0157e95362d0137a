package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"multipeer/engine"
	"multipeer/internal/chatlog"
	"multipeer/internal/history"

	"github.com/spf13/cobra"
)

func (p *program) historyCommand() *cobra.Command {
	var with, search string
	var count int
	c := &cobra.Command{
		Use:   "history",
		Short: "Print the conversations stored by 'serve' and by the app",
		Long: `history prints the latest messages and transfers from all conversations, or from one, in chronological order. A peer is shown under the
name that it last used. --with also accepts its ID, or the start of its ID.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if count < 1 {
				return exit(exitUsage, fmt.Errorf("-n %d: must be at least 1", count))
			}
			var found []history.Hit
			var talks map[string]history.Talk
			if err := p.conversations(func(s *history.Store) (err error) {
				talks = s.Talks()
				found, err = rows(cmd.Context(), s, talks, with, search, count)
				return err
			}); err != nil {
				return err
			}
			shared := sharedNames(talks)
			for _, h := range found { // after the file is closed: the reader of the output may be slow
				p.printRow(h, talks[h.Talk].Name, shared)
			}
			if len(found) == 0 {
				p.out.note("nothing found; the desktop app and 'multipeer-cli serve' store messages and transfers; 'receive' and 'send' do not")
			}
			return nil
		},
	}
	c.Flags().StringVar(&with, "with", "", "only the conversation with one peer: a name, an ID or the start of one; \"everyone\" for the conversation with everyone")
	c.Flags().StringVar(&search, "search", "", "only rows that contain this text")
	c.Flags().IntVarP(&count, "count", "n", 100, "maximum number of rows per conversation")
	return c
}

// conversations opens the history of the profile, or uses the host's.
func (p *program) conversations(f func(*history.Store) error) error {
	if p.host != nil && p.host.History != nil && p.host.History.Kept() {
		return f(p.host.History)
	}
	dir, err := p.profileDir()
	if err != nil {
		return exit(exitFailed, err)
	}
	path := filepath.Join(dir, historyFile)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) { // there is no history yet
		return f(history.Memory())
	}
	s, err := history.Open(path)
	if err != nil {
		return exit(exitFailed, err)
	}
	return errors.Join(f(s), s.Close())
}

// rows returns the matching rows, oldest first.
func rows(ctx context.Context, s *history.Store, talks map[string]history.Talk, with, search string, count int) (found []history.Hit, err error) {
	var chosen []string
	for key, t := range talks {
		if with == "" || key == with || t.Name == with || len(with) >= 4 && strings.HasPrefix(key, with) {
			chosen = append(chosen, key)
		}
	}
	if with != "" && len(chosen) == 0 {
		return nil, exit(exitNotFound, fmt.Errorf("there is no conversation with %q", engine.CleanLine(with)))
	}
	if search != "" {
		found = slices.DeleteFunc(s.Search(ctx, search, count), func(h history.Hit) bool { return !slices.Contains(chosen, h.Talk) })
	} else {
		for _, key := range chosen {
			first, next := s.Bounds(key)
			from := max(first, next-min(next, uint64(count)))
			for i, r := range s.Rows(key, from, int(next-from)) {
				found = append(found, history.Hit{Talk: key, Seq: from + uint64(i), Row: r})
			}
		}
	}
	slices.SortFunc(found, func(a, b history.Hit) int {
		return cmp.Or(a.Row.At.Compare(b.Row.At), cmp.Compare(a.Talk, b.Talk), cmp.Compare(a.Seq, b.Seq))
	})
	return found, nil
}

// rowObject is a row of the history in JSON.
type rowObject struct {
	Type         string    `json:"type"`
	Conversation string    `json:"conversation"` // the ID of the peer, or everyone
	Name         string    `json:"name,omitempty"`
	At           time.Time `json:"at"`
	Kind         string    `json:"kind"` // message, transfer or notice
	Own          bool      `json:"own"`
	Who          string    `json:"who,omitempty"`
	Text         string    `json:"text,omitempty"`
	State        string    `json:"state,omitempty"`
	Note         string    `json:"note,omitempty"`
	Names        []string  `json:"names,omitempty"`
	Bytes        int64     `json:"bytes,omitempty"`
	Paths        []string  `json:"paths,omitempty"`
}

var messageStates = map[history.State]string{history.Queued: "queued", history.Sending: "sending", history.Delivered: "delivered", history.Failed: "failed"}

// sharedNames returns the names, in lower case, that several conversations share: they are ambiguous.
func sharedNames(talks map[string]history.Talk) map[string]bool {
	shared, seen := map[string]bool{}, map[string]bool{}
	for _, t := range talks {
		name := strings.ToLower(t.Name)
		shared[name] = shared[name] || seen[name]
		seen[name] = true
	}
	return shared
}

func (p *program) printRow(h history.Hit, name string, shared map[string]bool) {
	r := h.Row
	o := rowObject{"row", h.Talk, name, r.At.UTC(), "message", r.Own, r.Who, r.Text, messageStates[r.State], r.Note, nil, 0, nil}
	var text any = passage(r.Text)
	switch {
	case r.Kind == history.Notice:
		o.Kind = "notice"
	case r.Kind == history.Transfer && r.File != nil:
		o.Kind = "transfer"
		o.State = engine.TransferState(r.File.State).String()
		o.Names = r.File.Names
		o.Bytes = r.File.Bytes
		o.Paths = r.File.Paths
		text = fmt.Sprintf("%s, %s", strings.Join(r.File.Names, ", "), size(r.File.Bytes))
	}
	p.out.object(o)
	alone := !shared[strings.ToLower(name)]
	name = quoted(name)
	if id, err := engine.ParsePeerID(h.Talk); err == nil && name != "" && !(r.Own && alone) { // anyone can take any name
		name = fmt.Sprintf("%s (%s)", name, id.Short())
	}
	who, state := cmp.Or(r.Who, name, h.Talk), ""
	if r.Own {
		who = "to " + cmp.Or(name, h.Talk)
	}
	if o.State != "" {
		state = " (" + o.State + ")"
	}
	if h.Talk == chatlog.Everyone && r.Own {
		who = "to everyone"
	}
	p.out.line("%s  %s: %s%s", r.At.Local().Format("2006-01-02 15:04"), who, text, state)
}
