package main

import "fmt"

// target is a figure with a limit.
type target struct {
	what     string
	measured float64
	limit    float64
	least    bool // the limit is a minimum, not a maximum
}

func (t target) met() bool {
	return t.measured <= t.limit && !t.least || t.measured >= t.limit && t.least
}

func (t target) wanted() string {
	if t.least {
		return fmt.Sprintf("at least %.2f", t.limit)
	}
	return fmt.Sprintf("at most %.2f", t.limit)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

const (
	tlsStream = "TLS 1.3 over TCP, a stream of files"
	rsync     = "rsync daemon (not encrypted)"
)

// targets compares the medians with the targets, for the lines that were measured.
func (w *report) targets() (out []target) {
	for _, t := range w.tables {
		ours := t.ours()
		for _, r := range t.rows {
			if r.took == 0 || ours.took == 0 {
				continue
			}
			speed := r.took.Seconds() / ours.took.Seconds() // Multipeer's speed, if the other's is 1
			cpu := (ours.sendCPU + ours.rcvCPU).Seconds() / (r.sendCPU + r.rcvCPU).Seconds()
			add := func(what string, measured, limit float64, least bool) {
				out = append(out, target{fmt.Sprintf("%s, %s: %s", t.line, t.job.title, what), measured, limit, least})
			}
			switch {
			case r.name == tlsStream && (t.line == "loopback" || t.line == "cable") && (t.job.name == "file" || t.job.name == "medium"):
				add("speed beside a TLS stream", speed, 0.95, true)
			case r.name == tlsStream && (t.line == "loopback" || t.line == "cable") && t.job.name == "small":
				add("speed beside a TLS stream", speed, 1, true)
				add("CPU time beside a TLS stream", cpu, 1.15, false)
			case r.name == rsync && t.job.again:
				add("time beside rsync -c", 1/speed, 1, false)
				add("CPU time beside rsync -c", cpu, 2, false)
			case r.name == tlsStream && (t.line == "wifi" || t.line == "wifi-loss"):
				add("time beside a TLS stream", 1/speed, 1.1, false)
				add("CPU time beside a TLS stream", cpu, 2, false)
			}
		}
		if t.job.name == "file" && (t.line == "loopback" || t.line == "cable") {
			out = append(out, target{fmt.Sprintf("%s, %s: peak memory in MiB, sender + receiver", t.line, t.job.title), float64(ours.sendRSS+ours.rcvRSS) / (1 << 20), 128, false})
		}
	}
	return out
}

// printTargets prints the targets.
func (w *report) printTargets() {
	all := w.targets()
	if len(all) == 0 {
		return
	}
	fmt.Println("\ntargets")
	for _, t := range all {
		fmt.Printf("  %-90s %7.2f  %-14s %s\n", t.what, t.measured, t.wanted(), yesNo(t.met()))
	}
}
