// Command runtests runs the tests of all packages, group by group. It prints a line for each package, a line at least
// every twenty seconds with what is running, and stops at the first test that fails, with its name and output.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// tags disables what Fyne does only for programs that call it from threads other than its own.
const tags = "migrated_fynedo"

// group is one call of go test.
type group struct {
	what string
	dir  string // of a module other than the main one
	env  []string
	args []string
	// shortened is a folder. Only those of its tests run that the quick groups shorten.
	shortened string
	// beside runs in parallel: both groups wait for clocks more than for a processor.
	beside *group
}

// packages are all packages except the window's main.
var packages = []string{
	"./bridge/...", "./cmd/...", "./engine/...", "./examples/...", "./icons/...", "./internal/...", "./packaging/...", "./tools/...", "./transfer/...", "./ui/...",
}

var quick = []group{
	{
		what: "all packages, with the race detector",
		env:  []string{"MULTIPEER_FULL=1"},
		// Not ./...: main.go has no tests, and its graphics in C take minutes to compile with the race detector.
		// More packages at a time than processors, because many of their tests wait.
		args: append([]string{"-race", "-short", "-timeout=20m", "-skip=^TestViews", fmt.Sprintf("-p=%d", runtime.NumCPU()+1)}, packages...),
	},
	{
		what: "the window's pictures, which the race detector would make ten times as long",
		env:  []string{"CGO_ENABLED=0", "MULTIPEER_FULL=1"},
		args: []string{"-timeout=20m", "-run=^TestViews", "./ui"},
	},
	{
		what: "the game, which is a separate module",
		dir:  "examples/lightcycle",
		args: []string{"-race", "-timeout=10m", "./..."},
	},
}

// long holds the groups that need the machine to themselves: attacks, real windows, real networks, long runs.
var long = []group{
	{what: "the engine's thousands of runs", env: []string{"CGO_ENABLED=0", "MULTIPEER_FULL=1"}, args: []string{"-timeout=30m", "./engine"}, shortened: "./engine"},
	{
		what: "thousands of changes while files are sent, and a million files", env: []string{"CGO_ENABLED=0"}, args: []string{"-timeout=10m", "-run=^TestSource_ChangesAtRandom|^TestJournal_OfAMillion", "./transfer"},
		beside: &group{what: "the module under another path", env: []string{"CGO_ENABLED=0"}, args: []string{"-timeout=20m", "./tools/modulepath"}},
	},
	{what: "what hostile peers do to others", env: []string{"CGO_ENABLED=0", "MULTIPEER_FULL=1"}, args: []string{"-count=1", "-timeout=30m", "-run=^TestVerifiedPeer", "./internal/testing/hostile"}},
	{
		what: "the real window", env: []string{"MULTIPEER_FULL=1"}, args: []string{"-count=1", "-timeout=15m", "./internal/testing/window"},
		beside: &group{what: "a hostile peer", env: []string{"MULTIPEER_FULL=1"}, args: []string{"-race", "-count=1", "-timeout=30m", "-skip=^TestVerifiedPeer", "./internal/testing/hostile"}},
	},
	{what: "a real browser", dir: "internal/testing/browser", env: []string{"MULTIPEER_FULL=1"}, args: []string{"-count=1", "-timeout=10m", "./..."}},
	{
		what: "real networks that carry files and messages", env: []string{"MULTIPEER_FULL=1"}, args: []string{"-count=1", "-timeout=30m", "-run=" + networksWithLoad, "./internal/testing/netlab"},
		beside: &group{what: "real networks where peers find each other", env: []string{"MULTIPEER_FULL=1"}, args: []string{"-count=1", "-timeout=30m", "-skip=" + networksWithLoad, "./internal/testing/netlab"}},
	},
	{what: "sixteen peers on a bad network (MULTIPEER_SOAK=1h for longer)", env: []string{"MULTIPEER_FULL=1", "MULTIPEER_SOAK=" + soakLength()}, args: []string{"-race", "-count=1", "-v", "-timeout=90m", "./internal/testing/soak"}},
}

// networksWithLoad matches the tests of netlab that move much data or start many programs.
const networksWithLoad = "^Test(ExitCodes|LAN|MTU|Post|Readme|Send|Synopsis|Transfer)"

func soakLength() string {
	if d := os.Getenv("MULTIPEER_SOAK"); d != "" {
		return d
	}
	return "3m"
}

func main() {
	all := flag.Bool("long", false, "run the tests that need the machine to themselves, instead of the quick ones")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	groups := quick
	if *all {
		groups = long
	}
	began := time.Now()
	for _, g := range groups {
		if err := runBoth(ctx, g); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Printf("all passed in %v\n", time.Since(began).Round(time.Second))
}

// event is a line of go test -json; see go doc test2json.
type event struct {
	Action  string
	Package string
	Test    string
	Output  string
	Elapsed float64
}

// runBoth runs a group and its beside group in parallel, until both have ended or one has failed.
func runBoth(ctx context.Context, g group) error {
	if g.beside == nil {
		return run(ctx, g)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, 2)
	for _, g := range []group{g, *g.beside} {
		go func() { failed <- run(ctx, g) }()
	}
	err := <-failed
	if err != nil {
		cancel()
	}
	if later := <-failed; err == nil {
		err = later
	}
	return err
}

// run runs one group until its end or its first failure.
func run(ctx context.Context, g group) error {
	fmt.Printf("== %s\n", g.what)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	args := append([]string{"test", "-json", "-failfast", "-tags=" + tags}, g.args...)
	if g.shortened != "" {
		pattern, err := shortened(g.shortened)
		if err != nil {
			return err
		}
		args = append(args, "-run="+pattern)
	}
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), g.env...)
	cmd.SysProcAttr, cmd.Cancel = together(cmd)
	cmd.WaitDelay = 10 * time.Second
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	r := &reader{running: map[string]string{}, printed: map[string][]string{}, began: time.Now(), last: time.Now()}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { r.beat(quit) })
	failed := r.read(out)
	if failed != nil {
		cancel()
	}
	err = cmd.Wait()
	close(quit)
	wg.Wait()
	if failed != nil {
		return failed
	}
	if err != nil {
		return fmt.Errorf("%s: %w", g.what, err)
	}
	if r.passed == 0 {
		return fmt.Errorf("%s: no tests were run", g.what)
	}
	return nil
}

// reader follows the events of a run.
type reader struct {
	mu      sync.Mutex
	running map[string]string   // the newest test, by package
	printed map[string][]string // by package and test
	began   time.Time
	last    time.Time // when a line was last printed
	passed  int
}

// read processes events until the end, or the first failure.
func (r *reader) read(in io.Reader) error {
	s := bufio.NewScanner(in)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var ev event
		if err := json.Unmarshal(s.Bytes(), &ev); err != nil {
			fmt.Println(s.Text()) // from the compiler
			continue
		}
		if err := r.take(ev); err != nil {
			return err
		}
	}
	return s.Err()
}

func (r *reader) take(ev event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := ev.Package + " " + ev.Test
	switch {
	case ev.Action == "build-output":
		fmt.Print(ev.Output)
	case ev.Action == "build-fail":
		return errors.New("a package does not compile")
	case ev.Action == "output":
		r.printed[key] = append(r.printed[key], ev.Output)
		if strings.Contains(ev.Package, "/soak") && ev.Test != "" { // its figures
			fmt.Print(ev.Output)
			r.last = time.Now()
		}
	case ev.Action == "run":
		r.running[ev.Package] = ev.Test
	case ev.Action == "fail":
		var reasons []string
		for k, lines := range r.printed {
			if k == key || strings.HasPrefix(k, key+"/") || strings.HasPrefix(key, k+"/") || ev.Test == "" && strings.HasPrefix(k, key) {
				fmt.Print(strings.Join(lines, ""))
				reasons = append(reasons, failures(lines)...)
			}
		}
		return fmt.Errorf("%sFAILED: %s in %s, after %.1f s", strings.Join(reasons, ""), orAll(ev.Test), ev.Package, ev.Elapsed)
	case ev.Action == "pass" && ev.Test == "":
		delete(r.running, ev.Package)
		fmt.Printf("ok  %-44s %6.1f s\n", ev.Package, ev.Elapsed)
		r.last = time.Now()
	case ev.Action == "skip" && ev.Test == "":
		fmt.Printf("    %-44s has no tests\n", ev.Package)
		r.last = time.Now()
	case ev.Action == "pass":
		r.passed++
		delete(r.printed, key)
	}
	return nil
}

// maxReasons limits how many lines of a failed test are repeated after its output.
const maxReasons = 20

// failures returns the lines in which a test says at which of its lines it failed, and those in which a program
// panicked. They are repeated last, because the output of a test can be long and its end is what a reader sees.
func failures(lines []string) (found []string) {
	said := regexp.MustCompile(`^\s*\w+_test\.go:\d+: |^panic: |^fatal error: |DATA RACE`)
	for _, line := range lines {
		if said.MatchString(line) && len(found) < maxReasons {
			found = append(found, line)
		}
	}
	return found
}

func orAll(test string) string {
	if test == "" {
		return "the package"
	}
	return test
}

// beat prints what is running when nothing else was printed for a while.
func (r *reader) beat(quit <-chan struct{}) {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-quit:
			return
		case <-t.C:
		}
		r.mu.Lock()
		if time.Since(r.last) >= 20*time.Second {
			var list []string
			for pkg, test := range r.running {
				list = append(list, fmt.Sprintf("%s %s", pkg, test))
			}
			slices.Sort(list)
			if len(list) == 0 {
				list = []string{"compiling"}
			}
			fmt.Printf("... %v: %s\n", time.Since(r.began).Round(time.Second), strings.Join(list, ", "))
			r.last = time.Now()
		}
		r.mu.Unlock()
	}
}
