package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// row is one contender's medians for a job on a line.
type row struct {
	name, kind string
	result
}

type table struct {
	line, title string
	job         job
	rows        []row
}

// report collects what is printed, for docs/performance.md.
type report struct {
	began    time.Time
	settings settings
	tables   []table
	notes    []string
}

func (r row) rate(j job) float64 { return float64(j.bytes) / 1e6 / r.took.Seconds() }

// ours is the row that others are compared with.
func (t table) ours() row {
	for _, r := range t.rows {
		if r.kind == "ours" {
			return r
		}
	}
	return row{}
}

// cells are the figures of a row, as text.
func (t table) cells(r row) []string {
	if r.kind == "wire" { // it tells its rate itself
		return []string{r.name, "", wireRate(r.note), "", "", "", "", ""}
	}
	gb := float64(t.job.bytes) / 1e9
	ratio := "1"
	if o := t.ours(); o.took > 0 {
		ratio = fmt.Sprintf("%.2f", r.took.Seconds()/o.took.Seconds())
	}
	return []string{
		r.name, fmt.Sprintf("%.2f", r.took.Seconds()), fmt.Sprintf("%.0f", r.rate(t.job)),
		fmt.Sprintf("%.0f", float64(t.job.files)/r.took.Seconds()), ratio,
		fmt.Sprintf("%.2f + %.2f", r.sendCPU.Seconds()/gb, r.rcvCPU.Seconds()/gb),
		fmt.Sprintf("%d + %d", r.sendRSS>>20, r.rcvRSS>>20), r.note,
	}
}

var heads = []string{"", "s", "MB/s", "files/s", "Multipeer is faster by", "CPU s per GB, sender + receiver", "peak MiB, sender + receiver", ""}

// wireRate finds what iperf3 has received, in MB/s.
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

// write writes the report, and a plot beside it.
func (w *report) write(path string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# Performance\n\nWritten by `make bench` on %s, %s/%s, %d processors, %s; medians of %d runs, each a sender and a receiver, whole processes, files in memory (tmpfs).\n",
		w.began.Format("2006-01-02"), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), w.settings.runs)
	b.WriteString("Ratios count: absolute figures are those of the machine and the moment. \"Multipeer is faster by\" is that row's time divided by ours. What is not encrypted is said to be so; bare QUIC is quic-go as it comes.\n")
	if len(w.tables) > 0 {
		name := strings.TrimSuffix(path, filepath.Ext(path)) + ".svg"
		if err := w.draw(name); err != nil {
			return err
		}
		fmt.Fprintf(&b, "\n![MB/s of each contender](%s)\n", filepath.Base(name))
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
	for _, n := range w.notes {
		fmt.Fprintf(&b, "\n%s\n", n)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}

// draw plots the rates of the first job on each line.
func (w *report) draw(path string) error {
	const rowHeight = vg.Length(16)
	var labels []string
	var values plotter.Values
	for i := len(w.tables) - 1; i >= 0; i-- {
		t := w.tables[i]
		for k := len(t.rows) - 1; k >= 0; k-- {
			if r := t.rows[k]; r.kind != "wire" && t.line != "cable" {
				values = append(values, r.rate(t.job))
				labels = append(labels, fmt.Sprintf("%s, %s: %s", t.line, t.job.name, r.name))
			}
		}
	}
	p := plot.New()
	p.X.Label.Text = "MB/s"
	bars, err := plotter.NewBarChart(values, rowHeight/2)
	if err != nil {
		return err
	}
	bars.Horizontal = true
	p.Add(bars)
	p.NominalY(labels...)
	return p.Save(22*vg.Centimeter, rowHeight*vg.Length(len(values)+4), path)
}
