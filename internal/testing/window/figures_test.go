//go:build linux

package window

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/internal/history"
)

// TestMain runs a crowd of peers if MULTIPEER_CROWD is set, and otherwise the tests.
func TestMain(m *testing.M) {
	if n, _ := strconv.Atoi(os.Getenv("MULTIPEER_CROWD")); n > 0 {
		crowd(n, os.Getenv("MULTIPEER_CROWD_SERVICE"))
		return
	}
	flag.Parse()
	// The other tests need the machine to themselves.
	if testing.Short() && flag.Lookup("test.run").Value.String() == "" {
		_ = flag.Set("test.run", "^TestTray")
	}
	code := m.Run()
	_ = os.RemoveAll(built)
	os.Exit(code)
}

// crowd runs many engines until its standard input ends.
func crowd(n int, service string) {
	ctx, cancel := context.WithCancel(context.Background())
	for i := range n {
		// The peers do not look for each other: fifty engines would keep one machine busy.
		e, err := engine.New(engine.Config{Name: fmt.Sprintf("Peer %02d", i), Service: service, Interfaces: []string{"lo"}, Hidden: true, Blind: true})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		go func() { _ = e.Run(ctx) }()
		for e.Self().Port == 0 {
			time.Sleep(time.Millisecond)
		}
		fmt.Printf("127.0.0.1:%d\n", e.Self().Port)
	}
	_, _ = bufio.NewReader(os.Stdin).ReadString(0)
	cancel()
}

// usage returns a process's CPU time: in total, and for the window alone, which is its main thread and the threads
// that draw for it.
func usage(t *testing.T, pid int) (all, window time.Duration) {
	t.Helper()
	read := func(path string) (comm string, d time.Duration) {
		b, err := os.ReadFile(path)
		if err != nil {
			return "", 0
		}
		s := string(b)
		end := strings.LastIndex(s, ")")
		f := strings.Fields(s[end+1:])
		ticks := 0
		for _, i := range []int{11, 12} { // utime and stime (proc_pid_stat(5)), in hundredths of a second
			v, _ := strconv.Atoi(f[i])
			ticks += v
		}
		return s[strings.Index(s, "(")+1 : end], time.Duration(ticks) * 10 * time.Millisecond
	}
	_, all = read(fmt.Sprintf("/proc/%d/stat", pid))
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*", pid))
	for _, task := range tasks {
		comm, d := read(filepath.Join(task, "stat"))
		if filepath.Base(task) == strconv.Itoa(pid) || strings.HasPrefix(comm, "llvmpipe") {
			window += d
		}
	}
	return all, window
}

func resident(t *testing.T, pid int) float64 {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(b)
	kb, _ := strconv.Atoi(string(m[1]))
	return float64(kb) / 1024
}

func (w *window) late() (all []float64) {
	for _, m := range regexp.MustCompile(`(?m)^LATE ([\d.]+)$`).FindAllStringSubmatch(w.lines(), -1) {
		v, _ := strconv.ParseFloat(m[1], 64)
		all = append(all, v)
	}
	return all
}

// flood sends messages to w from a peer that w has accepted, at the given rate per second, and then "the end". It
// returns how many messages were delivered, and how many LATE lines w had printed before the first.
func flood(t *testing.T, w *window, rate int, d time.Duration) (delivered, before int) {
	t.Helper()
	e, err := engine.New(engine.Config{Name: "Flood", Service: w.d.service(), Interfaces: []string{"lo"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	var to engine.PeerID
	for range e.WatchState(ctx) {
		if p, err := e.FindPeer("Anna"); err == nil {
			to = p.ID
			break
		}
	}
	invited := make(chan error, 1)
	go func() { invited <- e.Invite(ctx, to) }()
	w.click("banner-show")
	w.click("connect-accept")
	if err := <-invited; err != nil {
		t.Fatal(err)
	}
	w.click("row:Flood")
	time.Sleep(time.Second)
	before = len(w.late())
	var last []*engine.Delivery
	began := time.Now()
	for n := 0; time.Since(began) < d; n++ {
		for time.Duration(n)*time.Second/time.Duration(rate) > time.Since(began) {
			time.Sleep(time.Millisecond)
		}
		one, err := e.Post(ctx, fmt.Sprint("message ", n), to)
		if err != nil {
			t.Fatal(err)
		}
		if last = append(last, one); len(last) >= 255 { // as many as may wait
			if last[0].Results()[0].Err == nil {
				delivered++
			}
			last = last[1:]
		}
	}
	for _, one := range last {
		if one.Results()[0].Err == nil {
			delivered++
		}
	}
	if _, err := e.Send(ctx, "the end", to); err != nil {
		t.Fatal(err)
	}
	return delivered, before
}

// TestFigures measures the window as users run it: real processes, software OpenGL. MULTIPEER_FIGURES=FILE enables
// it; it writes a table to that file, and checks it against the window's targets.
func TestFigures(t *testing.T) {
	if os.Getenv("MULTIPEER_FIGURES") == "" {
		t.Skip("set MULTIPEER_FIGURES=FILE to measure; the machine must be otherwise idle")
	}
	d := newDesk(t, "light")
	var table []string
	figure := func(name, format string, ok bool, a ...any) {
		mark := ""
		if !ok {
			mark = "  <- ABOVE THE TARGET"
			t.Errorf("%s: "+format, append([]any{name}, a...)...)
		}
		table = append(table, fmt.Sprintf("| %s | %s%s |", name, fmt.Sprintf(format, a...), mark))
	}

	// From the start of the process to a drawn window.
	var starts []time.Duration
	var w *window
	for i := range 6 {
		w = &window{d: d, home: filepath.Join(d.dir, "Anna")}
		began := time.Now()
		w.openNow()
		w.saw(`EVT shown`)
		if took := time.Since(began); i > 0 { // the first one fills caches
			starts = append(starts, took)
		}
		w.close()
	}
	slices.Sort(starts)
	figure("start to first frame, median of 5", "%v", starts[2] < 3*time.Second, starts[2].Round(time.Millisecond))

	// Fifty peers, and nothing to do.
	host, _ := os.Executable()
	others := exec.Command(host)
	others.Env = append(os.Environ(), "MULTIPEER_CROWD=50", "MULTIPEER_CROWD_SERVICE="+d.service())
	in, err := others.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := others.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := others.Start(); err != nil {
		t.Fatal(err)
	}
	var addresses []string
	for lines := bufio.NewScanner(out); len(addresses) < 50 && lines.Scan(); {
		addresses = append(addresses, lines.Text())
	}
	w.trace = "events" // reporting where fifty rows are costs more than the window itself
	w.openNow("-peer", strings.Join(addresses, ","))
	began := time.Now()
	for strings.Count(w.lines(), "EVT peer ") < 50 {
		if time.Since(began) > 60*time.Second {
			t.Fatalf("%d of 50 peers after a minute", strings.Count(w.lines(), "EVT peer "))
		}
		time.Sleep(50 * time.Millisecond)
	}
	figure("50 peers reached after", "%v", true, time.Since(began).Round(time.Millisecond))
	time.Sleep(5 * time.Second)
	figure("memory with 50 peers, resident", "%.0f MB", true, resident(t, w.cmd.Process.Pid))
	const idle = 20 * time.Second
	_, before := usage(t, w.cmd.Process.Pid)
	allBefore, _ := usage(t, w.cmd.Process.Pid)
	time.Sleep(idle)
	all, after := usage(t, w.cmd.Process.Pid)
	part := 100 * (after - before).Seconds() / idle.Seconds()
	figure("CPU while idle with 50 peers: the window", "%.2f %% of a core", part < 1, part)
	figure("the whole program, with its engine", "%.2f %% of a core", true, 100*(all-allBefore).Seconds()/idle.Seconds())
	_ = in.Close()
	_ = others.Wait()
	w.close()

	// A conversation of 100,000 rows.
	h, err := history.Open(filepath.Join(w.home, "profile", "history.db"))
	if err != nil {
		t.Fatal(err)
	}
	key := engine.PeerID{7}.String()
	texts := []string{"Yes", "A line of a conversation of a common length", "Something longer, which takes more than one line in a window of an ordinary width, since people do write like that now and then, don't they?", "```\ncode := 1\nmore := 2\n```"}
	for i := range 100_000 {
		h.Append(key, history.Row{Kind: history.Text, Own: i%3 == 0, Text: fmt.Sprintf("%d %s", i, texts[i%len(texts)]), At: time.Unix(int64(1_700_000_000+97*i), 0)})
	}
	h.Update(key, func(k *history.Talk) { k.Name = "Old" })
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	w.trace = "frames"
	w.open()
	w.click("row:Old")
	w.saw(`EVT chosen Old`)
	x, y := w.settled("timeline")
	d.tool("xdotool", "mousemove", "--window", w.id, strconv.Itoa(x), strconv.Itoa(y))
	time.Sleep(time.Second)
	seen := len(w.late())
	d.tool("xdotool", "click", "--repeat", "600", "--delay", "10", "4")
	d.tool("xdotool", "click", "--repeat", "300", "--delay", "10", "5")
	late := w.late()[seen:]
	slices.Sort(late)
	figure("scrolling 100,000 rows: frame p50 / p99 / slowest", "%.1f / %.1f / %.1f ms", late[len(late)*99/100] <= 50, late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
	figure("memory after that, resident", "%.0f MB", true, resident(t, w.cmd.Process.Pid))
	w.trace = ""
	w.close()

	// A file at full speed, in a window that shows its progress, and in one that does not.
	w.open()
	ben := d.start("Ben")
	w.saw(`EVT peer "Ben"`)
	large := filepath.Join(d.dir, "large")
	d.tool("dd", "if=/dev/urandom", "of="+large, "bs=1M", "count=4096", "status=none")
	w.click("row:Ben")
	w.drop("timeline", large)
	ben.saw(`offered incoming=true`)
	ben.click("row:Anna")
	ben.click("accept")
	ben.saw(`moving incoming=true`)
	began = time.Now()
	allBefore, before = usage(t, ben.cmd.Process.Pid)
	ben.saw(`EVT transfer "large" (finishing|delivered) incoming=true`)
	took := time.Since(began)
	all, after = usage(t, ben.cmd.Process.Pid)
	part = 100 * (after - before).Seconds() / took.Seconds()
	figure("CPU while a file arrives: the window", "%.1f %% of a core", part < 10, part)
	figure("the whole program during that", "%.0f %% of a core, %.0f MB/s", true, 100*(all-allBefore).Seconds()/took.Seconds(), 4096*1.048576/took.Seconds())
	ben.close()
	w.close()

	// A peer that sends more than anyone can read.
	w.trace = "frames"
	w.open()
	sent, over := flood(t, w, 10_000, 5*time.Second)
	late = w.late()[over:]
	slices.Sort(late)
	figure("10,000 messages a second from a peer: delivered", "%d in 5 s", sent > 45_000, sent)
	figure("delay of a tap during that: p50 / p99 / longest", "%.1f / %.1f / %.1f ms", late[len(late)-1] <= 100, late[len(late)/2], late[len(late)*99/100], late[len(late)-1])
	w.saw(`EVT message "the end" from Flood`)

	report := "# What the window costs\n\n`make figures` writes this page. It runs real processes under Xvfb with software rendering (Mesa's\nllvmpipe), which uses far more CPU time than a graphics card would. \"The window\" means the main\nthread of the process and the threads that draw for it.\n\n| figure | |\n| --- | --- |\n" + strings.Join(table, "\n") + "\n"
	if err := os.WriteFile(os.Getenv("MULTIPEER_FIGURES"), []byte(report), 0o644); err != nil {
		t.Error(err)
	}
}
