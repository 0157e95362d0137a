// Command bench measures transfers and messages against the limits of this machine and against installed alternatives,
// all in one run, and the cost of a mesh of many peers. It runs on the loopback interface and, as root on Linux,
// between network namespaces that it creates: over a virtual link without limits, over one of 1 Gbit/s, and over one
// that loses packets as Wi-Fi does. Compare ratios; absolute figures depend on the machine and the moment.
//
// Each contender is a sender and a receiver, two processes that start with the measurement and exit before it ends.
// They take turns, so that a machine that slows down slows all of them; medians are printed.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"time"
)

// settings are the values of the flags.
type settings struct {
	dir    string
	runs   int
	size   int64
	files  int
	medium int
	only   string
	report string
	cli    string
	mesh   int
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "role" {
		if err := role(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, "bench role:", err)
			os.Exit(1)
		}
		return
	}
	var s settings
	flag.StringVar(&s.dir, "dir", defaultDir(), "where to write files; in memory, so that the disk is not measured")
	flag.IntVar(&s.runs, "runs", 5, "runs of each measurement; the median is printed")
	flag.Int64Var(&s.size, "size", 1<<30, "size of the large file, in bytes")
	flag.IntVar(&s.files, "files", 10_000, "number of files of 4 KiB")
	flag.IntVar(&s.medium, "medium", 200, "number of files of 5 MiB")
	flag.StringVar(&s.only, "only", "", "what to measure: loopback, cable, gigabit, wifi, huge, busy, latency, mesh (comma-separated; empty means all)")
	flag.StringVar(&s.report, "report", "", "write the results as Markdown to this file, and a plot next to it")
	flag.StringVar(&s.cli, "cli", "build/multipeer-cli", "the command-line tool, which is measured as people run it")
	flag.IntVar(&s.mesh, "mesh", 64, "number of peers in the mesh")
	flag.Parse()
	program, err := filepath.Abs(s.cli)
	if err == nil {
		_, err = os.Stat(program)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err, "(make cli builds it)")
		os.Exit(1)
	}
	cliProgram = program
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := bench(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// defaultDir returns a folder in memory (/dev/shm) if there is one, so that the disk is not measured.
func defaultDir() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}

func bench(ctx context.Context, s settings) error {
	dir, err := os.MkdirTemp(s.dir, "multipeer-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	parts := map[string]bool{}
	for _, p := range strings.Split(s.only, ",") {
		parts[p] = true
	}
	wants := func(p string) bool { return s.only == "" || parts[p] }
	w := &report{began: time.Now(), settings: s}
	if wants("loopback") || wants("cable") || wants("gigabit") || wants("wifi") {
		jobs, err := makeJobs(dir, s)
		if err != nil {
			return err
		}
		if err := measureLines(ctx, dir, s, jobs, wants, w); err != nil {
			return err
		}
	}
	if wants("huge") {
		if err := measureHuge(ctx, dir, w); err != nil {
			return err
		}
	}
	if wants("busy") {
		if err := measureBusy(ctx, dir, w); err != nil {
			return err
		}
	}
	if wants("latency") {
		if err := measureLatency(dir, s.runs, w); err != nil {
			return err
		}
	}
	if wants("mesh") && s.mesh > 0 {
		if err := measureMesh(s.mesh); err != nil {
			return err
		}
	}
	w.printTargets()
	if s.report == "" {
		return nil
	}
	return w.write(s.report)
}

// measureLines runs the contenders on each line.
func measureLines(ctx context.Context, dir string, s settings, jobs []job, wants func(string) bool, w *report) error {
	lines := []struct {
		name  string
		title string
		lay   func(context.Context) (*line, error)
	}{
		{"loopback", "loopback", func(context.Context) (*line, error) { return &line{name: "loopback", to: "127.0.0.1"}, nil }},
		{"cable", "a cable between two hosts (network namespaces)", layCable},
		{"gigabit", "1 Gbit/s", layGigabit},
		{"wifi", "Wi-Fi: 300 Mbit/s, 5 ms, 0.5 % of the packets lost at random", layWiFi("wifi", 0.005, 0)},
		{"wifi", "Wi-Fi: 300 Mbit/s, 5 ms, 2 % of the packets lost at random", layWiFi("wifi-loss", 0.02, 0)},
		{"wifi", "Wi-Fi: 300 Mbit/s, 5 ms, 2 % of the packets arrive 2 ms late", layWiFi("wifi-late", 0, 0.02)},
	}
	for _, l := range lines {
		if !wants(l.name) {
			continue
		}
		at, err := l.lay(ctx)
		if errors.Is(err, errNoNamespaces) {
			fmt.Printf("%s: skipped, %v\n", l.title, err)
			continue
		}
		if err != nil {
			return err
		}
		err = measureOn(ctx, at, l.title, dir, s, jobs, w)
		at.remove()
		if err != nil {
			return err
		}
	}
	return nil
}

// measureOn lets the contenders take turns on one line, job by job.
func measureOn(ctx context.Context, at *line, title, dir string, s settings, jobs []job, w *report) error {
	for _, j := range jobs {
		if at.isWiFi() && j.name != "file" || j.again && at.name != "cable" {
			continue
		}
		if at.name != "loopback" {
			j = j.lighter(dir, at, s)
		}
		all := contenders(at, j)
		results := make([][]result, len(all))
		skipped := make([]bool, len(all))
		for n := range s.runs {
			for i, c := range all {
				if skipped[i] {
					continue
				}
				r, err := c.run(ctx, at, j, filepath.Join(dir, "out"))
				if err != nil {
					fmt.Printf("  %s failed in run %d: %v\n", c.name, n+1, err)
					skipped[i] = n == 0
					continue
				}
				results[i] = append(results[i], r)
			}
		}
		t := table{line: at.name, title: title, job: j}
		for i, c := range all {
			if len(results[i]) > 0 {
				t.rows = append(t.rows, row{c.name, c.kind, middle(results[i])})
			}
		}
		t.print()
		w.tables = append(w.tables, t)
	}
	return nil
}
