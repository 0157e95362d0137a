package main

import (
	"cmp"
	"fmt"
	"image/color"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// row holds one contender's medians for a job over one link.
type row struct {
	name, kind string
	result
}

type table struct {
	line, title string
	job         job
	rows        []row
}

// report collects the results, for docs/performance.md.
type report struct {
	began    time.Time
	settings settings
	tables   []table
	notes    []string
}

func (r row) rate(j job) float64 { return float64(j.bytes) / 1e6 / r.took.Seconds() }

// ours returns the row that the others are compared with.
func (t table) ours() row {
	for _, r := range t.rows {
		if r.kind == "ours" {
			return r
		}
	}
	return row{}
}

// cells returns the figures of a row, as text.
func (t table) cells(r row) []string {
	if r.kind == "wire" { // it reports its rate itself
		return []string{r.name, "", wireRate(r.note), "", "", "", "", ""}
	}
	gb := float64(t.job.bytes) / 1e9
	ratio := "1"
	if o := t.ours(); o.took > 0 {
		ratio = fmt.Sprintf("%.2f", r.took.Seconds()/o.took.Seconds()) // below 1: faster than Multipeer
	}
	return []string{
		r.name, fmt.Sprintf("%.2f", r.took.Seconds()), fmt.Sprintf("%.0f", r.rate(t.job)),
		fmt.Sprintf("%.0f", float64(t.job.files)/r.took.Seconds()), ratio,
		fmt.Sprintf("%.2f + %.2f", r.sendCPU.Seconds()/gb, r.rcvCPU.Seconds()/gb),
		fmt.Sprintf("%d + %d", r.sendRSS>>20, r.rcvRSS>>20), r.note,
	}
}

var heads = []string{"", "s", "MB/s", "files/s", "time, Multipeer = 1", "CPU s per GB, sender + receiver", "peak MiB, sender + receiver", ""}

// wireRate returns the rate at which iperf3 received, in MB/s.
func wireRate(note string) string {
	for _, l := range strings.Split(note, "\n") {
		if f := strings.Fields(l); strings.Contains(l, "receiver") {
			for i, x := range f {
				var v float64
				if strings.HasSuffix(x, "bits/sec") && i > 0 {
					_, _ = fmt.Sscan(f[i-1], &v)
					v *= map[string]float64{"Gbits/sec": 125, "Mbits/sec": 0.125, "Kbits/sec": 0.000125}[x]
					return fmt.Sprintf("%.1f", v)
				}
			}
		}
	}
	return "?"
}

func (t table) print() {
	fmt.Printf("\n%s: %s\n", t.title, t.job.title)
	fmt.Printf("  %-38s %7s %7s %8s %6s  %-15s %-10s\n", "", "s", "MB/s", "files/s", "ratio", "CPU s/GB", "MiB")
	for _, r := range t.rows {
		c := t.cells(r)
		fmt.Printf("  %-38s %7s %7s %8s %6s  %-15s %-10s %s\n", c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
	}
}

// write writes the report, and a plot next to it.
func (w *report) write(path string) error {
	var b strings.Builder
	b.WriteString("# Performance\n\n")
	head := fmt.Sprintf("`make bench` wrote this page on %s (%s/%s, %d processors, %s). Figures are medians of %d runs. Each run starts a sender process and a receiver process; files are in memory (tmpfs). ",
		w.began.Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), w.settings.runs)
	head += machine() + " Compare the ratios: absolute figures depend on the machine and its load. \"Time, Multipeer = 1\" is the time of a row divided by that of Multipeer's first row: less than 1 is faster than Multipeer. Multipeer is the command-line tool, as people use it; \"the engine alone\" is a small program built on the engine. Peak memory is that of the sender and the receiver, with their child processes. Rows without encryption are marked; bare QUIC is quic-go with its default settings."
	if cc, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control"); err == nil {
		head += fmt.Sprintf(" TCP uses %s congestion control unless a row says otherwise.", strings.TrimSpace(string(cc)))
	}
	if w.settings.only != "" {
		head += fmt.Sprintf(" This run measured only these parts: %s.", strings.ReplaceAll(w.settings.only, ",", ", "))
	}
	b.WriteString(wrapped(head))
	if len(w.tables) > 0 {
		name := strings.TrimSuffix(path, filepath.Ext(path)) + ".png"
		if err := w.draw(name); err != nil {
			return err
		}
		small := strings.TrimSuffix(filepath.Base(name), ".png") + "-small.png"
		fmt.Fprintf(&b, "\n![MB/s of each contender](%s)\n\n![Files/s of each contender](%s)\n", filepath.Base(name), small)
	}
	line := ""
	for _, t := range w.tables {
		if t.line != line {
			line = t.line
			fmt.Fprintf(&b, "\n## %s%s\n", strings.ToUpper(t.title[:1]), t.title[1:])
		}
		fmt.Fprintf(&b, "\n%s%s:\n\n| %s |\n|%s\n", strings.ToUpper(t.job.title[:1]), t.job.title[1:], strings.Join(heads[:7], " | "), strings.Repeat(" --- |", 7))
		for _, r := range t.rows {
			fmt.Fprintf(&b, "| %s |\n", strings.Join(t.cells(r)[:7], " | "))
		}
	}
	if len(w.notes) > 0 {
		b.WriteString("\n## Also measured\n")
	}
	for _, n := range w.notes {
		b.WriteString("\n" + wrapped(n))
	}
	if targets := w.targets(); len(targets) > 0 {
		b.WriteString("\n## Targets\n\n| target | measured | wanted | met |\n| --- | --- | --- | --- |\n")
		for _, t := range targets {
			fmt.Fprintf(&b, "| %s | %.2f | %s | %s |\n", t.what, t.measured, t.wanted(), yesNo(t.met()))
		}
	}
	if gone := missing(); len(gone) > 0 {
		b.WriteString("\n" + wrapped("Not installed, and so not compared: "+strings.Join(gone, ", ")+"."))
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// wrapped breaks a paragraph into lines of at most 100 characters.
func wrapped(text string) string {
	var b strings.Builder
	column := 0
	for _, word := range strings.Fields(text) {
		switch n := utf8.RuneCountInString(word); {
		case column == 0:
			column = n
		case column+1+n > 100:
			b.WriteString("\n")
			column = n
		default:
			b.WriteString(" ")
			column += 1 + n
		}
		b.WriteString(word)
	}
	return b.String() + "\n"
}

// draw plots the rates of the contenders on the cable: MB/s of one large file at path, and files/s of small files next
// to it. Each contender appears once, the fastest first.
func (w *report) draw(path string) error {
	base := strings.TrimSuffix(path, filepath.Ext(path))
	for _, t := range w.tables {
		if t.line != "cable" {
			continue
		}
		var err error
		switch t.job.name {
		case "file":
			err = drawRates(t, "MB/s", func(r row) float64 { return r.rate(t.job) }, path)
		case "small":
			err = drawRates(t, "files/s", func(r row) float64 { return float64(t.job.files) / r.took.Seconds() }, base+"-small.png")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func drawRates(t table, unit string, rate func(row) float64, path string) error {
	var rows []row
	for _, r := range t.rows {
		if r.kind != "wire" {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(rate(a), rate(b)) }) // the last one is drawn at the top
	var labels []string
	var ours, others plotter.Values
	for _, r := range rows {
		labels = append(labels, fmt.Sprintf("%s  %.0f %s  ", r.name, rate(r), unit))
		if r.kind == "ours" {
			ours, others = append(ours, rate(r)), append(others, 0)
		} else {
			ours, others = append(ours, 0), append(others, rate(r))
		}
	}
	p := plot.New()
	p.Title.Text = fmt.Sprintf("%s%s, over a cable, in %s", strings.ToUpper(t.job.title[:1]), t.job.title[1:], unit)
	p.X.Min = 0
	for _, bars := range []struct {
		values plotter.Values
		color  color.Color
	}{{others, color.RGBA{0xb8, 0xbf, 0xcc, 0xff}}, {ours, color.RGBA{0x2f, 0x5d, 0xe3, 0xff}}} {
		b, err := plotter.NewBarChart(bars.values, vg.Points(9))
		if err != nil {
			return err
		}
		b.Horizontal, b.Color, b.LineStyle.Width = true, bars.color, 0
		p.Add(b)
	}
	p.NominalY(labels...)
	return p.Save(24*vg.Centimeter, vg.Points(16)*vg.Length(len(labels)+4), path)
}
