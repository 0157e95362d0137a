package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"multipeer/bridge/web"
	"multipeer/engine"
	"multipeer/transfer"

	"github.com/spf13/cobra"
)

func (p *program) linkCommand() *cobra.Command {
	k := &linking{program: p}
	var into, accept string
	var receive, pin bool
	c := &cobra.Command{
		Use:   "link [PATH...]",
		Short: "Exchange files with a device that has only a browser, through a link or its QR code",
		Long: `link prints the address of a page, and its QR code. A device on the same network that opens it in a browser can download
the files and folders at PATH or, with --receive, send files and text to this device. The device needs no other software.

Only the first browser that opens the link can use it, unless --visitors allows more. The link expires after 15 minutes
without use, or after an hour; Ctrl-C closes it immediately. The page is not encrypted: others on the network can read what is exchanged.`,
		Example: `  multipeer-cli link holiday.zip photos
  multipeer-cli link --receive --into inbox`,
		Annotations: alone,
		RunE: func(cmd *cobra.Command, paths []string) error {
			switch {
			case len(paths) == 0 && k.opts.Text == "" && !receive:
				return exit(exitUsage, errors.New("specify the files to share, or use --text or --receive"))
			case accept != "ask" && accept != "all":
				return exit(exitUsage, fmt.Errorf("--accept %q: must be ask or all", accept))
			case k.opts.Visitors < 1:
				return exit(exitUsage, errors.New("--visitors must be 1 or more"))
			case p.port < 0 || p.port > 65535:
				return exit(exitUsage, fmt.Errorf("--port %d: must be between 0 and 65535", p.port))
			}
			for i := range paths {
				var err error
				if paths[i], err = k.path(paths[i]); err != nil {
					return exit(exitUsage, fmt.Errorf("sharing: %w", err))
				}
			}
			k.opts.Paths, k.opts.Port, k.opts.Name = paths, p.port, p.deviceName()
			k.opts.Interfaces = p.ifaces
			if k.opts.Text == "-" { // arguments are visible to other users
				if receive && accept == "ask" {
					return exit(exitUsage, errors.New("--text - reads all of standard input, but --accept ask reads your answers from it; use --accept all"))
				}
				b, err := io.ReadAll(io.LimitReader(p.in, engine.MaxMessage+1))
				if err != nil {
					return exit(exitFailed, fmt.Errorf("reading the text: %w", err))
				}
				if len(b) > engine.MaxMessage {
					return exit(exitUsage, fmt.Errorf("the text is longer than %d bytes; share it as a file", engine.MaxMessage))
				}
				k.opts.Text = string(b)
			}
			if receive {
				var err error
				if k.opts.Dir, _, err = p.folder(into); err != nil {
					return exit(exitFailed, err)
				}
			}
			if pin {
				k.opts.PIN = newPIN()
			}
			k.accept = accept
			return k.run(cmd.Context())
		},
	}
	c.Flags().StringVar(&k.opts.Text, "text", "", "text to share; - reads it from standard input")
	c.Flags().BoolVar(&receive, "receive", false, "receive files and text")
	c.Flags().StringVar(&into, "into", ".", "with --receive: folder to receive into; created if it is missing")
	c.Flags().StringVar(&accept, "accept", "ask", "with --receive: ask on the terminal about each upload, or accept all")
	c.Flags().Int64Var(&k.opts.Reserve, "reserve", 0, reserveUsage)
	c.Flags().BoolVar(&pin, "pin", false, "ask the visitor for a PIN, which is printed here")
	c.Flags().IntVar(&k.opts.Visitors, "visitors", 1, "how many browsers may open the link")
	c.Flags().DurationVar(&k.opts.Idle, "idle", web.DefaultIdle, "close the link if it is unused for this long")
	c.Flags().DurationVar(&k.opts.Lifetime, "for", web.DefaultLifetime, "maximum lifetime of the link")
	c.Flags().BoolVar(&k.once, "once", false, "exit after one complete download or upload")
	return c
}

// deviceName returns the name for the page: that of --name, or the kind of this device. A host name often contains its
// owner's name.
func (p *program) deviceName() string {
	if p.name != "" {
		return p.name
	}
	kinds := map[string]string{"darwin": "Mac", "windows": "Windows PC", "linux": "Linux PC"}
	if kind := kinds[runtime.GOOS]; kind != "" {
		return kind
	}
	return "this device"
}

// newPIN returns six random digits.
func newPIN() string {
	n, err := rand.Int(rand.Reader, big.NewInt(1_000_000))
	if err != nil {
		panic(err) // crypto/rand never fails
	}
	return fmt.Sprintf("%06d", n)
}

// linking is one run of link.
type linking struct {
	*program
	opts   web.Options
	accept string
	once   bool

	lines   <-chan inputLine
	asking  chan struct{} // holds a value while a question is open: there is only one at a time
	done    int           // complete downloads and uploads
	texts   int           // text messages that have arrived
	refused error         // why a file cannot be downloaded
	leftOut int           // entries that are not shared
	bars    map[int]int64 // the last reported tenth, by upload number
}

func (k *linking) run(ctx context.Context) error {
	k.asking = make(chan struct{}, 1)
	k.bars = map[int]int64{}
	if k.opts.Dir != "" && k.accept == "ask" {
		k.lines = readLines(ctx, k.in, maxAnswer)
	}
	finished := make(chan struct{}, 1)
	k.opts.OnEvent = func(ev web.Event) {
		k.show(ev)
		if k.once && k.done > 0 {
			select {
			case finished <- struct{}{}:
			default:
			}
		}
	}
	k.opts.Ask = k.ask
	l, err := web.Open(ctx, k.opts)
	if err != nil {
		var at *fs.PathError
		if errors.As(err, &at) && errors.Is(err, os.ErrNotExist) {
			err = fmt.Errorf("%s: no such file or folder", at.Path)
		}
		return exit(exitFailed, fmt.Errorf("creating the link: %w", err))
	}
	k.print(l)
	var notes []transfer.Note
	k.leftOut, notes = l.LeftOut()
	for _, n := range notes[:min(len(notes), maxListed)] {
		k.out.note("not shared: %s: %v", n.Path, n.Err)
	}
	if more := k.leftOut - maxListed; more > 0 {
		k.out.note("and %d more not shared", more)
	}
	select {
	case <-l.Done():
	case <-finished:
		time.Sleep(100 * time.Millisecond) // give the browser time to get its response
		l.Close()
	case <-ctx.Done():
		l.Close()
	}
	return k.outcome(ctx, int64(l.Missing()), l.Err())
}

// maxListed is how many entries are listed that are not shared.
const maxListed = 20

// outcome returns the result of the command. missing is how many files of uploads did not arrive, and why is the reason
// why the link ended.
func (k *linking) outcome(ctx context.Context, missing int64, why error) error {
	switch {
	case k.refused != nil:
		return exit(exitPartly, k.refused)
	case missing > 0:
		return exit(exitPartly, fmt.Errorf("%s did not arrive; the output lists what was left out", plural(missing, "file", "files")))
	case k.done+k.texts > 0 && k.leftOut > 0:
		return exit(exitPartly, fmt.Errorf("%s could not be shared", plural(int64(k.leftOut), "entry", "entries")))
	case k.done+k.texts > 0:
		return nil
	case ctx.Err() != nil:
		return errInterrupted
	}
	return exit(exitFailed, fmt.Errorf("%w; nothing was exchanged", why))
}

// print shows the link.
func (k *linking) print(l *web.Link) {
	urls := l.URLs()
	leftOut, notes := l.LeftOut()
	k.out.object(struct {
		Type  string       `json:"type"`
		URLs  []string     `json:"urls"`
		PIN   string       `json:"pin,omitempty"`
		Left  int          `json:"left_out,omitempty"`
		Notes []noteObject `json:"notes,omitempty"`
	}{"link", urls, k.opts.PIN, leftOut, noteObjects(notes)})
	if picture, err := drawQR(urls[0]); err == nil && k.out.tty {
		k.out.line("%s", verbatim(picture))
	}
	for _, u := range urls {
		k.out.line("%s", verbatim(u))
	}
	if k.opts.PIN != "" {
		k.out.line("PIN: %s", k.opts.PIN)
	}
	k.out.note("open this address on the other device, on the same network; the page is not encrypted; Ctrl-C closes the link")
}

// visitorText describes a visitor.
func visitorText(v web.Visitor) string {
	device := v.Device
	if device == "" {
		device = "a browser"
	}
	return fmt.Sprintf("%s at %s", device, v.Addr)
}

// uploadText describes an upload. Names are quoted, so that none can look like the end of a question.
func uploadText(u web.Upload) string {
	var names []string
	for _, n := range u.Names[:min(len(u.Names), 3)] {
		names = append(names, strconv.Quote(engine.CleanLine(shortName(n))))
	}
	text := strings.Join(names, ", ")
	if u.Items > 3 {
		text += fmt.Sprintf(" and %d more", u.Items-3)
	}
	if u.Bytes == transfer.Unknown {
		return fmt.Sprintf("%s (of unknown size, with up to %s)", text, plural(u.Files-1, "more file", "more files"))
	}
	count := plural(u.Files, "file", "files")
	if u.Folders > 0 {
		count += " in " + plural(u.Folders, "folder", "folders")
	}
	return fmt.Sprintf("%s (%s, %s)", text, count, size(u.Bytes))
}

// shortName shortens a name in its middle to 100 characters.
func shortName(s string) string {
	if r := []rune(s); len(r) > 100 {
		return string(r[:70]) + "…" + string(r[len(r)-29:])
	}
	return s
}

// ask asks on the terminal whether to receive an upload.
func (k *linking) ask(ctx context.Context, u web.Upload) error {
	k.object("asked", u, transfer.Result{}, "")
	if k.accept == "all" {
		k.out.note("receiving %s from %s", uploadText(u), visitorText(u.Visitor))
		return nil
	}
	select {
	case k.asking <- struct{}{}:
		defer func() { <-k.asking }()
	case <-ctx.Done():
		return ctx.Err()
	}
	show := func() {
		from := "Accept from " + visitorText(u.Visitor)
		k.out.askYes(from+": "+uploadText(u)+"?", from)
	}
	k.dropLines()
	k.dropTyped()
	show()
	defer k.out.ask("")
	asked := time.Now()
	for {
		select {
		case line, open := <-k.lines:
			if !open || line.err != nil {
				k.out.note("declined: no answer can be read from standard input")
				return errors.New("no answer")
			}
			if k.typed() && time.Since(asked) < tooSoon { // guard: link-answers
				k.out.note("that was typed before you could read the question; please answer again")
				show()
				asked = time.Now()
				continue
			}
			switch strings.ToLower(strings.TrimSpace(line.text)) {
			case "y", "yes":
				return nil
			case "n", "no":
				return errors.New("declined")
			}
			show()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// dropLines drops the lines that were typed while no question was open.
func (k *linking) dropLines() {
	if !k.typed() {
		return
	}
	for {
		select {
		case _, open := <-k.lines:
			if !open {
				return
			}
			k.out.note("no question was pending; the line was ignored")
		case <-time.After(10 * time.Millisecond):
			return
		}
	}
}

// object prints an upload as JSON.
func (k *linking) object(state string, u web.Upload, arrived transfer.Result, problem string) {
	k.out.object(struct {
		Type    string       `json:"type"`
		State   string       `json:"state"`
		Upload  int          `json:"upload"`
		Visitor int          `json:"visitor"`
		Addr    string       `json:"addr"`
		Device  string       `json:"device,omitempty"`
		Names   []string     `json:"names"`
		Files   int64        `json:"files"`
		Bytes   int64        `json:"bytes"`
		Arrived int64        `json:"arrived"`
		Saved   []string     `json:"saved,omitempty"`
		LeftOut int64        `json:"left_out,omitempty"`
		Notes   []noteObject `json:"notes,omitempty"`
		Problem string       `json:"problem,omitempty"`
	}{
		"upload", state, u.Number, u.Visitor.Number, u.Visitor.Addr.String(), u.Visitor.Device, u.Names, u.Files, u.Bytes,
		arrived.Bytes, k.paths(arrived.Saved), arrived.LeftOut, noteObjects(arrived.Notes), problem,
	})
}

// show prints an event of the link.
func (k *linking) show(ev web.Event) {
	switch ev := ev.(type) {
	case web.Opened:
		k.out.object(struct {
			Type    string `json:"type"`
			Visitor int    `json:"visitor"`
			Addr    string `json:"addr"`
			Device  string `json:"device,omitempty"`
		}{"visitor", ev.Visitor.Number, ev.Visitor.Addr.String(), ev.Visitor.Device})
		k.out.note("opened by %s", visitorText(ev.Visitor))
	case web.Sent:
		k.out.object(struct {
			Type    string `json:"type"`
			Visitor int    `json:"visitor"`
			Name    string `json:"name"`
			Bytes   int64  `json:"bytes"`
		}{"downloaded", ev.Visitor.Number, ev.Name, ev.Bytes})
		k.out.line("%s has downloaded %s (%s)", visitorText(ev.Visitor), ev.Name, size(ev.Bytes))
		k.done++
	case web.NotSent:
		k.out.object(struct {
			Type    string `json:"type"`
			Visitor int    `json:"visitor"`
			Name    string `json:"name"`
			Problem string `json:"problem"`
		}{"not_downloaded", ev.Visitor.Number, ev.Name, ev.Err.Error()})
		k.refused = fmt.Errorf("%s cannot download %s: %w", visitorText(ev.Visitor), ev.Name, ev.Err)
		k.out.note("%v; create a new link", k.refused)
	case web.Said:
		k.out.object(struct {
			Type    string `json:"type"`
			Visitor int    `json:"visitor"`
			Addr    string `json:"addr"`
			Text    string `json:"text"`
		}{"text", ev.Visitor.Number, ev.Visitor.Addr.String(), ev.Text})
		k.out.line("%s: %s", visitorText(ev.Visitor), ev.Text)
		k.texts++
	case web.Progress:
		if step := ev.Bytes * 10 / max(ev.Upload.Bytes, 1); ev.Upload.Bytes > 0 && step > k.bars[ev.Upload.Number] && step < 10 {
			k.bars[ev.Upload.Number] = step
			k.object("moving", ev.Upload, transfer.Result{Totals: transfer.Totals{Bytes: ev.Bytes}}, "")
			k.out.note("%d %% of %s has arrived", step*10, uploadText(ev.Upload))
		}
	case web.Received:
		k.received(ev)
	}
}

// paths returns the paths of names in the receiving folder.
func (k *linking) paths(names []string) (out []string) {
	for _, name := range names {
		out = append(out, filepath.Join(k.opts.Dir, name))
	}
	return out
}

func (k *linking) received(ev web.Received) {
	problem := ""
	if ev.Err != nil {
		problem = ev.Err.Error()
	}
	k.object("received", ev.Upload, ev.Result, problem)
	for _, saved := range k.paths(ev.Result.Saved) {
		k.out.line("saved %s", place(saved))
	}
	for _, n := range ev.Result.Notes {
		switch {
		case n.LeftOut():
			k.out.note("left out: %s: %v", n.Path, n.Err)
		case n.Err != nil:
			k.out.note("%s: %v", n.Saved, n.Err)
		}
	}
	if ev.Err != nil {
		k.out.note("an upload is incomplete (%s arrived): %v", plural(ev.Result.Files, "file", "files"), ev.Err)
		return
	}
	k.done++
}
