//go:build linux

package netlab_test

import (
	"fmt"
	"io/fs"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

// number reads a setting of these tests from the environment.
func number(name string, otherwise int64) int64 {
	if n, err := strconv.ParseInt(os.Getenv(name), 10, 64); err == nil {
		return n
	}
	return otherwise
}

// end is one of the two programs of a transfer that is interrupted again and again.
type end struct {
	t    *testing.T
	host *netlab.Host
	args []string
	r    *running
	last atomic.Pointer[map[string]any] // the newest line about a transfer
	wg   sync.WaitGroup
}

func (e *end) start() {
	e.r = start(e.t, e.host, e.args...)
	r := e.r
	e.wg.Go(func() {
		for v := range r.lines {
			if v["type"] == "transfer" {
				e.last.Store(&v)
			}
		}
	})
}

func (e *end) kill() {
	e.r.signal(syscall.SIGKILL)
	_ = e.r.cmd.Wait()
	e.wg.Wait()
	e.last.Store(nil)
}

func (e *end) state() (state string, done float64) {
	v := e.last.Load()
	if v == nil {
		return "", 0
	}
	state, _ = (*v)["state"].(string)
	done, _ = (*v)["done"].(float64)
	return state, done
}

// cutter interrupts one transfer.
type cutter struct {
	t        *testing.T
	dice     *rand.Rand
	lan      *netlab.LAN
	from, to *end
	inbox    string
	longest  float64 // the maximum number of seconds that a link is down
	freeDisk func()
	fillDisk func()
	addr     int
}

func (c *cutter) wait(limit time.Duration, what string, until func() bool) {
	c.t.Helper()
	for began := time.Now(); !until(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > limit {
			sent, done := c.from.state()
			got, have := c.to.state()
			c.t.Fatalf("no %s within %v: sender %s %.0f, receiver %s %.0f\nsender: %s\nreceiver: %s", what, limit, sent, done, got, have,
				tail(c.from.r.err.String()), tail(c.to.r.err.String()))
		}
	}
}

func tail(s string) string { return s[max(0, len(s)-1500):] }

// cut interrupts the transfer in one way, and undoes that.
func (c *cutter) cut() string {
	down := func() time.Duration {
		return time.Duration(math.Exp(c.dice.Float64()*math.Log(c.longest)) * float64(time.Second))
	}
	switch c.dice.IntN(7) {
	case 0:
		c.from.kill()
		c.from.start()
		return "sender killed"
	case 1:
		c.to.kill()
		c.to.start()
		return "receiver killed"
	case 2:
		c.from.kill()
		c.to.kill()
		c.to.start()
		c.from.start()
		return "both killed"
	case 3:
		d := down()
		h := c.lan.Host(1 + c.dice.IntN(2))
		h.Unplug()
		time.Sleep(d)
		h.Plug()
		return fmt.Sprintf("link down for %v", d.Round(100*time.Millisecond))
	case 4:
		c.addr++
		h := c.lan.Host(1 + c.dice.IntN(2))
		h.Readdress(fmt.Sprintf("10.77.0.%d", 20+c.addr%200))
		h.Shape()
		return "address changed"
	case 5:
		if c.fillDisk == nil {
			c.from.kill()
			c.from.start()
			return "sender killed"
		}
		c.fillDisk()
		c.wait(30*time.Second, "word of the full disk at the sender", func() bool { s, _ := c.from.state(); return s == "stalled" })
		c.wait(5*time.Second, "word of the full disk at the receiver", func() bool { s, _ := c.to.state(); return s == "stalled" })
		c.freeDisk()
		return "disk full and freed"
	}
	h := c.lan.Host(1 + c.dice.IntN(2))
	h.Flap()
	return "interface down and up"
}

// run starts both programs and interrupts them until the number of cuts or the end is reached. It returns how many
// bytes were sent again at each cut.
func (c *cutter) run(cuts int, total float64, hold func() time.Duration) (again []float64, kinds map[string]int) {
	kinds = map[string]int{}
	c.to.start()
	c.from.start()
	moving := func() bool { s, _ := c.from.state(); return s == "moving" || s == "finishing" || s == "delivered" }
	var sentAt, hadAt float64
	overhead := 1.04 // upper bound for TLS, TCP or QUIC, IP and Ethernet
	for n := 0; n < cuts; n++ {
		c.wait(90*time.Second, "movement", moving)
		_, had := c.from.state()
		sent := float64(c.lan.Host(1).Sent())
		if n > 0 {
			again = append(again, max(0, (sent-sentAt)/overhead-(had-hadAt)))
		}
		sentAt, hadAt = sent, had
		until := time.Now().Add(hold())
		for time.Now().Before(until) {
			time.Sleep(10 * time.Millisecond)
			if s, done := c.from.state(); s == "delivered" || done > 0.96*total {
				return again, kinds
			}
		}
		what := c.cut()
		kind, _, _ := strings.Cut(what, " for ")
		kinds[kind]++
		c.t.Logf("%.1f %%: %s", 100*had/total, what)
	}
	return again, kinds
}

// observer checks continuously that no incomplete file has its final name.
func observer(t *testing.T, inbox string, whole func() error) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	looks := 0
	wg.Go(func() {
		for {
			select {
			case <-quit:
				t.Logf("the observer looked %d times", looks)
				return
			case <-time.After(2 * time.Millisecond):
			}
			looks++
			entries, err := os.ReadDir(inbox)
			if err != nil {
				continue
			}
			for _, e := range entries {
				// A receiver that starts also probes its folder by creating an entry with a hidden name.
				if strings.HasPrefix(e.Name(), ".multipeer-") || e.Name() == "ballast" {
					continue
				}
				if err := whole(); err != nil {
					t.Errorf("under a final name: %v", err)
					return
				}
			}
		}
	})
	return func() { close(quit); wg.Wait() }
}

// TestTransfer_FileSurvivesCuts and TestTransfer_TreeSurvivesCuts interrupt a transfer at random, in every available
// way. MULTIPEER_CUTS sets how often, MULTIPEER_CUT_BYTES and MULTIPEER_CUT_FILES how much is sent; the defaults are
// small.
func TestTransfer_FileSurvivesCuts(t *testing.T) {
	size := number("MULTIPEER_CUT_BYTES", 500<<20)
	src := source(t, size, 1)
	info := func(p string) error {
		i, err := os.Stat(p)
		if err == nil && i.Size() != size {
			err = fmt.Errorf("%d of %d bytes", i.Size(), size)
		}
		return err
	}
	cutTransfer(t, src, "big.bin", float64(size), 400, info, size+size/16+200<<20)
}

func TestTransfer_TreeSurvivesCuts(t *testing.T) {
	files := int(number("MULTIPEER_CUT_FILES", 1000))
	src := filepath.Join(t.TempDir(), "src")
	total := int64(0)
	b := make([]byte, 1<<20)
	dice := rand.NewChaCha8([32]byte{9})
	_, _ = dice.Read(b)
	for i := range files {
		n := (i * 7919) % 100_000
		p := filepath.Join(src, fmt.Sprintf("tree/d%03d/f%05d", i%200, i))
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, fmt.Appendf(b[i%1000:i%1000+n:i%1000+n], "%d", i), 0o644); err != nil {
			t.Fatal(err)
		}
		total += int64(n) + int64(len(strconv.Itoa(i)))
	}
	want := 0
	_ = filepath.WalkDir(filepath.Join(src, "tree"), func(string, fs.DirEntry, error) error { want++; return nil })
	whole := func(p string) error {
		got := 0
		err := filepath.WalkDir(p, func(_ string, _ fs.DirEntry, err error) error { got++; return err })
		if err == nil && got != want {
			err = fmt.Errorf("%d of %d entries", got, want)
		}
		return err
	}
	cutTransfer(t, src, "tree", float64(total), 80, whole, 2*total+int64(files)*8192+100<<20)
}

func cutTransfer(t *testing.T, src, what string, total float64, megabits int, whole func(string) error, disk int64) {
	cuts := int(number("MULTIPEER_CUTS", 8))
	seed := uint64(number("MULTIPEER_SEED", time.Now().UnixNano()%1_000_000))
	t.Logf("seed %d (MULTIPEER_SEED)", seed)
	dice := rand.New(rand.NewPCG(seed, 1))
	lan := netlab.New(t, 2)
	lan.Limit(megabits)
	want := digest(t, src)
	var all []float64
	kinds := map[string]int{}
	for left := cuts; left > 0; {
		inbox := filepath.Join(t.TempDir(), "inbox")
		_ = os.MkdirAll(inbox, 0o755)
		if out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", disk), "none", inbox).CombinedOutput(); err != nil {
			netlab.Missing(t, "mounting: %v: %s", err, out)
		}
		unmount := func() { _ = exec.Command("umount", "-l", inbox).Run() }
		t.Cleanup(unmount)
		c := &cutter{
			t: t, dice: dice, lan: lan, inbox: inbox, longest: float64(number("MULTIPEER_CUT_DOWN", 4)),
			from: &end{t: t, host: lan.Host(1), args: []string{"--profile", profile(t), "--name", "Ann", "send", "--to", "Bob", "--wait", "10m", filepath.Join(src, what)}},
			to:   &end{t: t, host: lan.Host(2), args: []string{"--profile", profile(t), "--name", "Bob", "receive", "--accept", "all", "--reserve", "-1", "--into", inbox}},
		}
		ballast := filepath.Join(inbox, "ballast")
		c.fillDisk = func() {
			f, err := os.Create(ballast)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			block := make([]byte, 1<<20)
			for n := len(block); n > 0; {
				if _, err := f.Write(block[:n]); err != nil {
					n /= 2
				}
			}
		}
		c.freeDisk = func() { _ = os.Remove(ballast) }
		stop := observer(t, inbox, func() error { return whole(filepath.Join(inbox, what)) })
		again, did := c.run(left, total, func() time.Duration { return time.Duration(50+dice.IntN(600)) * time.Millisecond })
		c.wait(15*time.Minute, "delivery", func() bool { s, _ := c.from.state(); return s == "delivered" })
		stop()
		c.to.kill()
		for k, n := range did {
			kinds[k] += n
			left -= n
		}
		all = append(all, again...)
		got := digest(t, inbox)
		delete(got, ".multipeer-partial") // a killed receiver has not removed it yet
		mine := map[string]string{}
		for p, v := range want {
			if p == what || strings.HasPrefix(p, what+"/") {
				mine[p] = v
			}
		}
		for p := range got {
			if strings.HasPrefix(p, ".multipeer-partial/") {
				delete(got, p)
			}
		}
		if !maps.Equal(got, mine) {
			t.Fatalf("%d entries arrived, %d were sent, or some differ", len(got), len(mine))
		}
		unmount()
	}
	sum, most := 0.0, 0.0
	for _, a := range all {
		sum += a
		most = max(most, a)
	}
	t.Logf("%d cuts: %v", cuts, kinds)
	t.Logf("sent again at a cut: %.1f MB on average, %.1f MB at the most", sum/1e6/max(1, float64(len(all))), most/1e6)
	if most > 16<<20 {
		t.Errorf("more than 16 MiB were sent again at one cut")
	}
}
