//go:build linux

package netlab_test

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/netlab"
)

var cli string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "multipeer")
	if err != nil {
		panic(err)
	}
	cli = filepath.Join(dir, "multipeer-cli")
	build := exec.Command("go", "build", "-o", cli, "multipeer/cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(fmt.Sprintf("building: %v: %s", err, out))
	}
	code := m.Run()
	_ = os.RemoveAll(dir)
	os.Exit(code)
}

// running is a program on a host whose JSON lines are read as they come.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    io.Writer // stays open: a chat ends with its input
	lines chan map[string]any
	err   strings.Builder
}

func start(t *testing.T, h *netlab.Host, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: h.Command(t.Context(), append([]string{cli, "--json"}, args...)...), lines: make(chan map[string]any, 10000)}
	r.cmd.Stderr = &r.err
	in, err := r.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	r.in = in
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(r.lines)
		s := bufio.NewScanner(out)
		s.Buffer(nil, 1<<20)
		for s.Scan() {
			var v map[string]any
			if json.Unmarshal(s.Bytes(), &v) != nil {
				v = map[string]any{"type": "no JSON", "line": s.Text()}
			}
			r.lines <- v
		}
	}()
	t.Cleanup(func() { _ = r.cmd.Process.Kill(); _ = r.cmd.Wait() })
	return r
}

// wait returns the next line of a type.
func (r *running) wait(kind string, limit time.Duration) map[string]any {
	r.t.Helper()
	timeout := time.After(limit)
	for {
		select {
		case v, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended before %q: %s", kind, r.err.String())
			}
			if v["type"] == kind {
				return v
			}
			if v["type"] == "no JSON" {
				r.t.Errorf("on standard output: %v", v["line"])
			}
		case <-timeout:
			r.t.Fatalf("no %q in %v: %s", kind, limit, r.err.String())
		}
	}
}

// sent tells whether the next message that is reported was delivered.
func (r *running) sent(limit time.Duration) bool {
	timeout := time.After(limit)
	for {
		select {
		case v, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("ended: %s", r.err.String())
			}
			if v["type"] == "sent" {
				return v["delivered"] == true
			}
		case <-timeout:
			return false
		}
	}
}

func (r *running) exit() int {
	_ = r.cmd.Wait()
	return r.cmd.ProcessState.ExitCode()
}

func (r *running) signal(s syscall.Signal) { _ = r.cmd.Process.Signal(s) }

// run runs a command to its end.
func run(t *testing.T, h *netlab.Host, args ...string) (code int, stderr string) {
	t.Helper()
	c := h.Command(t.Context(), append([]string{cli, "--json"}, args...)...)
	var out, err strings.Builder
	c.Stdout, c.Stderr = &out, &err
	_ = c.Run()
	return c.ProcessState.ExitCode(), err.String()
}

func profile(t *testing.T) string { return filepath.Join(t.TempDir(), "profile") }

// digest sums up a tree: content, kinds, names and times.
func digest(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || p == root {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		sum := "folder"
		if info.Mode().IsRegular() {
			f, err := os.Open(p)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			if _, err := io.Copy(h, f); err != nil {
				return err
			}
			sum = fmt.Sprintf("%x", h.Sum(nil))
		}
		rel, _ := filepath.Rel(root, p)
		out[rel] = sum + " " + info.ModTime().UTC().Format(time.RFC3339Nano)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// source makes a large file and a folder of many.
func source(t *testing.T, size int64, files int) string {
	t.Helper()
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "big.bin"))
	if err != nil {
		t.Fatal(err)
	}
	block := make([]byte, 1<<20)
	_, _ = rand.Read(block)
	for n := int64(0); n < size; n += int64(len(block)) {
		copy(block, fmt.Sprintf("%016d", n))
		if _, err := f.Write(block); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(dir, "tree")
	for i := range files {
		p := filepath.Join(tree, fmt.Sprintf("d%03d/e%d/f%05d", i%100, i%3, i))
		_ = os.MkdirAll(filepath.Dir(p), 0o755)
		if err := os.WriteFile(p, fmt.Appendf(block[:i%4096:4096], "%d", i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 10 {
		_ = os.MkdirAll(filepath.Join(tree, fmt.Sprintf("hollow%d/inner", i)), 0o755)
	}
	old := time.Date(2011, 12, 13, 14, 15, 16, 171819000, time.UTC)
	for _, p := range []string{"hollow3/inner", "d001/e1/f00001", "d001"} {
		if err := os.Chtimes(filepath.Join(tree, p), old, old); err != nil && files > 1 {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFilesArrive(t *testing.T) {
	size, files := int64(1)<<30, 10_000
	if testing.Short() {
		size, files = 64<<20, 500
	}
	src := source(t, size, files)
	want := digest(t, src)
	lan := netlab.New(t, 2)
	lonely := lan.Lonely()
	for name, hosts := range map[string][2]*netlab.Host{"bridge": {lan.Host(1), lan.Host(2)}, "loopback alone": {lonely, lonely}} {
		t.Run(name, func(t *testing.T) {
			inbox, a, b := filepath.Join(t.TempDir(), "inbox"), profile(t), profile(t)
			for _, what := range []string{"big.bin", "tree"} {
				r := start(t, hosts[1], "--profile", b, "--name", "Bob", "receive", "--accept", "all", "--once", "--into", inbox)
				began := time.Now()
				if code, err := run(t, hosts[0], "--profile", a, "--name", "Ann", "send", "--to", "Bob", filepath.Join(src, what)); code != 0 {
					t.Fatalf("send: exit %d: %s", code, err)
				}
				if code := r.exit(); code != 0 {
					t.Fatalf("receive: exit %d: %s", code, r.err.String())
				}
				t.Logf("%s in %v", what, time.Since(began).Round(time.Millisecond))
			}
			if got := digest(t, inbox); !maps.Equal(got, want) {
				t.Errorf("%d entries arrived, %d were sent, or some differ", len(got), len(want))
			}
		})
	}
	t.Logf("%d entries, %d bytes in the large one", len(want), size)
}

func TestFreshStartsMeet(t *testing.T) {
	lan := netlab.New(t, 2)
	lonely := lan.Lonely()
	file := filepath.Join(t.TempDir(), "small")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, hosts := range map[string][2]*netlab.Host{"bridge": {lan.Host(1), lan.Host(2)}, "loopback alone": {lonely, lonely}} {
		t.Run(name, func(t *testing.T) {
			met, slowest := 0, time.Duration(0)
			for range 20 {
				// Both advertise, so that either may be the one that finds.
				r := start(t, hosts[1], "--profile", profile(t), "--name", "Bob", "chat")
				began := time.Now()
				s := start(t, hosts[0], "--profile", profile(t), "--name", "Ann", "chat")
				s.wait("connected", 3*time.Second)
				r.wait("connected", 3*time.Second)
				if took := time.Since(began); took <= 3*time.Second {
					met++
					slowest = max(slowest, took)
				}
				r.signal(syscall.SIGTERM)
				s.signal(syscall.SIGTERM)
				r.exit()
				s.exit()
			}
			if met != 20 {
				t.Errorf("%d of 20", met)
			}
			t.Logf("%d of 20 fresh starts met, the slowest in %v", met, slowest.Round(time.Millisecond))
		})
	}
}

// TestGone measures how soon the end of a peer is told.
func TestGone(t *testing.T) {
	lan := netlab.New(t, 2)
	for _, c := range []struct {
		name  string
		end   func(r *running, h *netlab.Host)
		limit time.Duration
	}{
		{"clean stop", func(r *running, _ *netlab.Host) { r.signal(syscall.SIGTERM) }, 300 * time.Millisecond},
		{"crash", func(r *running, _ *netlab.Host) { r.signal(syscall.SIGKILL) }, 13500 * time.Millisecond},
		{"cable", func(_ *running, h *netlab.Host) { h.Unplug() }, 13500 * time.Millisecond},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := start(t, lan.Host(1), "--profile", profile(t), "chat")
			b := start(t, lan.Host(2), "--profile", profile(t), "chat")
			a.wait("connected", 5*time.Second)
			b.wait("connected", 5*time.Second)
			began := time.Now()
			c.end(b, lan.Host(2))
			a.wait("disconnected", c.limit)
			t.Logf("told after %v", time.Since(began).Round(time.Millisecond))
			if c.name == "cable" {
				lan.Host(2).Plug()
				began = time.Now()
				a.wait("connected", 10*time.Second)
				t.Logf("back %v after the cable", time.Since(began).Round(time.Millisecond))
			}
			a.signal(syscall.SIGKILL)
			b.signal(syscall.SIGKILL)
		})
	}
}

func TestNetworkChange(t *testing.T) {
	lan := netlab.New(t, 2)
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Ann", "chat")
	b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "receive", "--accept", "all", "--into", t.TempDir())
	a.wait("connected", 5*time.Second)
	b.wait("connected", 5*time.Second)
	began := time.Now()
	lan.Host(2).Readdress("10.77.0.99")
	file := filepath.Join(t.TempDir(), "f")
	_ = os.WriteFile(file, []byte("x"), 0o644)
	// A newcomer has to find it under the new address.
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	out, err := lan.Host(1).Command(ctx, cli, "--profile", profile(t), "send", "--to", "Bob", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Logf("reached under its new address %v after the change", time.Since(began).Round(time.Millisecond))
}

// TestSessionSurvivesAnotherAddress moves each side of a session to another address, and then takes its interface
// away and back.
func TestSessionSurvivesAnotherAddress(t *testing.T) {
	lan := netlab.New(t, 2)
	a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Ann", "chat")
	b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "chat")
	a.wait("connected", 5*time.Second)
	b.wait("connected", 5*time.Second)
	for i, change := range []struct {
		name string
		do   func()
	}{
		{"address of one", func() { lan.Host(2).Readdress("10.77.0.98") }},
		{"address of the other", func() { lan.Host(1).Readdress("10.77.0.97") }},
		{"link down and up", func() { lan.Host(2).Flap() }},
	} {
		change.do()
		began := time.Now()
		for {
			text := fmt.Sprintf("message %d at %v", i, time.Since(began))
			fmt.Fprintln(a.in, text)
			if time.Since(began) > 5*time.Second {
				t.Fatalf("%s: no message gets through within 5 s", change.name)
			}
			if got := a.sent(2 * time.Second); got {
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		t.Logf("%s: a message was delivered %v after it", change.name, time.Since(began).Round(time.Millisecond))
	}
}

// TestOneSideFirewalled: nothing comes in unasked on one side, neither conns nor multicast. It can only dial; messages and
// files go both ways all the same.
func TestOneSideFirewalled(t *testing.T) {
	size := int64(1) << 30
	if testing.Short() {
		size = 64 << 20
	}
	lan := netlab.New(t, 2)
	open, closed := lan.Host(1), lan.Host(2)
	closed.Firewall("input", "ct state established,related accept; iifname \"lo\" accept; drop;")
	ann, bob := []string{"--profile", profile(t), "--name", "Ann"}, []string{"--profile", profile(t), "--name", "Bob", "--peer", open.Addr}
	with := func(args []string, more ...string) []string { return append(slices.Clone(args), more...) }

	a, b := start(t, open, with(ann, "chat")...), start(t, closed, with(bob, "chat")...)
	a.wait("connected", 10*time.Second)
	b.wait("connected", 10*time.Second)
	for _, way := range [][2]*running{{a, b}, {b, a}} {
		_, _ = io.WriteString(way[0].in, "hello\n")
		if !way[0].sent(10 * time.Second) {
			t.Error("a message was not delivered")
		}
		if m := way[1].wait("message", 10*time.Second); !strings.Contains(fmt.Sprint(m["body"]), "hello") {
			t.Errorf("arrived %v", m)
		}
	}
	for _, r := range []*running{a, b} {
		_ = r.in.(io.Closer).Close()
		if code := r.exit(); code != 0 {
			t.Errorf("chat: exit %d: %s", code, r.err.String())
		}
	}

	src := source(t, size, 1)
	want := digest(t, src)["big.bin"]
	for _, way := range []struct {
		from, to      *netlab.Host
		sender, taker []string
		name          string
	}{{open, closed, ann, bob, "Bob"}, {closed, open, bob, ann, "Ann"}} {
		inbox := t.TempDir()
		r := start(t, way.to, with(way.taker, "receive", "--accept", "all", "--once", "--into", inbox)...)
		began := time.Now()
		if code, err := run(t, way.from, with(way.sender, "send", "--to", way.name, filepath.Join(src, "big.bin"))...); code != 0 {
			t.Fatalf("send to %s: exit %d: %s", way.name, code, err)
		}
		if code := r.exit(); code != 0 {
			t.Errorf("receive: exit %d: %s", code, r.err.String())
		}
		if got := digest(t, inbox)["big.bin"]; got != want {
			t.Errorf("to %s arrived %q, want %q", way.name, got, want)
		}
		t.Logf("%d bytes to %s in %v", size, way.name, time.Since(began).Round(time.Millisecond))
	}
}

func TestExitCodes(t *testing.T) {
	lan := netlab.New(t, 2)
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	start(t, lan.Host(2), "--profile", profile(t), "--name", "Bob", "receive", "--accept", "verified", "--into", t.TempDir())
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"send", "--to", "Bob", file}, 4},
		{[]string{"send", "--to", lan.Host(2).Addr, file}, 4},
		{[]string{"send", "--to", "Nobody", "--wait", "1s", file}, 3},
		{[]string{"send", "--to", "10.77.0.77:9", "--wait", "1s", file}, 3},
		{[]string{"send", "--to", "Bob", file + " that is not there"}, 1},
		{[]string{"send", file}, 2},
		{[]string{"send", "--to", "Bob"}, 2},
		{[]string{"nonsense"}, 2},
		{[]string{"--name", "a\nb", "id"}, 2},
		{[]string{"ping", "--to", "Bob", "-n", "50"}, 0},
		{[]string{"ping", "--to", "Bob", "-n", "50", "--mode", "unreliable"}, 0},
		{[]string{"ping", "--to", "Bob", "-n", "50", "--mode", "stream"}, 0},
		{[]string{"ping", "--to", "Bob", "--mode", "smoke"}, 2},
		{[]string{"peers", "--for", "500ms"}, 0},
		{[]string{"id"}, 0},
	} {
		if code, err := run(t, lan.Host(1), append([]string{"--profile", profile(t)}, c.args...)...); code != c.code {
			t.Errorf("%q: exit %d, want %d: %s", c.args, code, c.code, err)
		}
	}
}

// TestKnownPeersMeetWithoutMulticast: a network that drops multicast. Who was met before is found again where it was; who
// is new is found by a search.
func TestKnownPeersMeetWithoutMulticast(t *testing.T) {
	lan := netlab.New(t, 3)
	anna, ben, eva := profile(t), profile(t), profile(t)
	chat := func(h *netlab.Host, profile, name string) *running {
		return start(t, h, "--profile", profile, "--name", name, "chat")
	}
	a, b := chat(lan.Host(1), anna, "Anna"), chat(lan.Host(2), ben, "Ben")
	a.wait("connected", 10*time.Second)
	b.wait("connected", 10*time.Second)
	for _, r := range []*running{a, b} {
		r.signal(syscall.SIGINT)
		r.exit()
	}
	for i := 1; i <= 3; i++ {
		lan.Host(i).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
	}
	chat(lan.Host(2), ben, "Ben")
	began := time.Now()
	a = chat(lan.Host(1), anna, "Anna")
	a.wait("connected", 5*time.Second)
	t.Logf("known peers met after %v", time.Since(began).Round(time.Millisecond))

	began = time.Now()
	e := start(t, lan.Host(3), "--profile", eva, "--name", "Eva", "peers", "--search", "--for", "1s")
	found := map[any]bool{}
	for range 2 {
		found[e.wait("peer", 10*time.Second)["name"]] = true
	}
	if !found["Anna"] || !found["Ben"] {
		t.Errorf("the search found %v", found)
	}
	t.Logf("new ones were found after %v", time.Since(began).Round(time.Millisecond))
	if code := e.exit(); code != 0 {
		t.Errorf("exit %d: %s", code, e.err.String())
	}
}

// TestPeersOfAPeer: on a network that drops multicast two know the address of a third only, and find each other by it.
func TestPeersOfAPeer(t *testing.T) {
	for name, script := range map[string]string{
		"IPv4":             "ip -4 -br addr show eth0 | grep -o '[0-9.]*/' | tr -d /",
		"IPv6, link-local": "ip -4 addr flush dev eth0; ip -6 -br addr show eth0 | grep -o 'fe80[0-9a-f:]*'",
	} {
		t.Run(name, func(t *testing.T) {
			lan := netlab.New(t, 3)
			var hub string
			for i := 3; i >= 1; i-- {
				lan.Host(i).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
				out, err := lan.Host(i).Command(t.Context(), "sh", "-c", script).Output()
				if hub = strings.TrimSpace(string(out)); err != nil || hub == "" {
					t.Fatal(err)
				}
			}
			if strings.HasPrefix(hub, "fe80") {
				hub += "%eth0"
			}
			start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
			began := time.Now()
			b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "--peer", hub, "chat")
			e := start(t, lan.Host(3), "--profile", profile(t), "--name", "Eva", "--peer", hub, "chat")
			for _, r := range []struct {
				*running
				other string
			}{{b, "Eva"}, {e, "Ben"}} {
				met := map[any]bool{}
				for !met["Anna"] || !met[r.other] {
					met[r.wait("connected", 10*time.Second)["name"]] = true
				}
			}
			t.Logf("they met after %v", time.Since(began).Round(time.Millisecond))
		})
	}
}

// TestDoctorNamesWhatIsWrong, within ten seconds each.
func TestDoctorNamesWhatIsWrong(t *testing.T) {
	const closed = "ct state established,related accept; iifname \"lo\" accept; drop;"
	for _, c := range []struct {
		name string
		set  func(lan *netlab.LAN)
		args []string
		want string
	}{
		{"all is well", func(*netlab.LAN) {}, nil, "peers"},
		{"inbound dropped here", func(lan *netlab.LAN) { lan.Host(1).Firewall("input", closed) }, nil, "own-firewall"},
		{"inbound dropped on both", func(lan *netlab.LAN) { lan.Host(1).Firewall("input", closed); lan.Host(2).Firewall("input", closed) }, nil, "own-firewall"},
		{"inbound dropped there, but for multicast", func(lan *netlab.LAN) {
			lan.Host(2).Firewall("input", "udp dport 5353 accept; "+closed)
			lan.Host(2).Firewall("output", "ct state new udp dport 17717 drop") // nor does it dial
		}, nil, "other-firewall"},
		{"multicast dropped", func(lan *netlab.LAN) {
			lan.Host(1).Firewall("input", "ip daddr 224.0.0.0/4 drop; ip6 daddr ff02::fb drop")
		}, nil, "multicast-filtered"},
		{"other subnet", func(*netlab.LAN) {}, []string{"--to", "192.0.2.77"}, "other-subnet"},
	} {
		t.Run(c.name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			c.set(lan)
			b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
			time.Sleep(500 * time.Millisecond)
			began := time.Now()
			d := start(t, lan.Host(1), append([]string{"--profile", profile(t), "--name", "Anna", "doctor"}, c.args...)...)
			for found := ""; found != c.want; {
				found = d.wait("finding", 12*time.Second)["name"].(string)
			}
			d.exit()
			took := time.Since(began)
			t.Logf("%s after %v", c.want, took.Round(time.Millisecond))
			if took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			b.signal(syscall.SIGINT)
		})
	}
	t.Run("port taken", func(t *testing.T) {
		lan := netlab.New(t, 1)
		first := start(t, lan.Host(1), "--profile", profile(t), "--name", "First", "chat")
		time.Sleep(time.Second)
		d := start(t, lan.Host(1), "--profile", profile(t), "--name", "Second", "doctor")
		for found := ""; found != "port-taken"; {
			found = d.wait("finding", 10*time.Second)["name"].(string)
		}
		first.signal(syscall.SIGINT)
	})
	t.Run("no network", func(t *testing.T) {
		d := start(t, netlab.New(t, 1).Lonely(), "--profile", profile(t), "doctor")
		for found := ""; found != "no-network"; {
			found = d.wait("finding", 10*time.Second)["name"].(string)
		}
	})
}

// TestStartsMeetAmongInterfaces: hosts with several networks, a VPN and a bridge of containers, and hosts without IPv4.
func TestStartsMeetAmongInterfaces(t *testing.T) {
	sh := func(t *testing.T, h *netlab.Host, script string) {
		t.Helper()
		if out, err := h.Command(t.Context(), "sh", "-ec", script).CombinedOutput(); err != nil {
			netlab.Missing(t, "%s: %v: %s", script, err, out)
		}
	}
	for name, script := range map[string]string{
		"three interfaces, a VPN and a bridge": `for i in 1 2; do ip link add d$i type veth peer name e$i; ip addr add 10.9$i.0.1/24 dev d$i; ip link set d$i up; ip link set e$i up; done
ip tuntap add tun0 mode tun 2>/dev/null || ip link add tun0 type veth peer name tun1
ip addr add 10.8.0.1/24 dev tun0; ip link set tun0 up
ip link add docker0 type bridge; ip addr add 172.17.0.1/16 dev docker0; ip link set docker0 up`,
		"IPv6 only": `ip -4 addr flush dev eth0; sleep 2`,
	} {
		t.Run(name, func(t *testing.T) {
			lan := netlab.New(t, 2)
			for i := 1; i <= 2; i++ {
				sh(t, lan.Host(i), script)
			}
			slowest := time.Duration(0)
			for range 20 {
				b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
				began := time.Now()
				a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
				a.wait("connected", 5*time.Second)
				b.wait("connected", 5*time.Second)
				slowest = max(slowest, time.Since(began))
				for _, r := range []*running{a, b} {
					r.signal(syscall.SIGTERM)
					r.exit()
				}
			}
			t.Logf("20 of 20 met, the slowest in %v", slowest.Round(time.Millisecond))
		})
	}
}

// TestBesideAvahi: the system's own responder on the same host, as on most Linux desktops. It is not installed for this
// test, since it would answer for the machine.
func TestBesideAvahi(t *testing.T) {
	avahi, err := exec.LookPath("avahi-daemon")
	if err != nil {
		t.Skip("no avahi-daemon here")
	}
	lan := netlab.New(t, 3)
	dir := t.TempDir()
	conf := filepath.Join(dir, "avahi.conf")
	if err := os.WriteFile(conf, []byte("[server]\nhost-name=besideavahi\nenable-dbus=no\nuse-ipv6=yes\n[publish]\npublish-addresses=yes\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	daemon := lan.Host(1).Command(t.Context(), "sh", "-c", "mkdir -p /run/avahi-daemon; exec "+avahi+" -f "+conf+" --no-drop-root --no-chroot --no-rlimits")
	var said strings.Builder
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Process.Kill(); _ = daemon.Wait() })
	time.Sleep(3 * time.Second)
	answers := func() bool { // asked by a third host for the name that avahi publishes
		out, _ := lan.Host(3).Command(t.Context(), "python3", "-c", `
import socket,struct
s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP,socket.IP_MULTICAST_IF,socket.inet_aton("`+lan.Host(3).Addr+`"))
s.settimeout(3)
s.sendto(b"\0\1\0\0\0\1\0\0\0\0\0\0\x0bbesideavahi\x05local\0\0\1\0\1",("224.0.0.251",5353))
d,a=s.recvfrom(2000)
print("answer",a[0],len(d))`).CombinedOutput()
		if strings.Contains(string(out), "answer "+lan.Host(1).Addr) {
			return true
		}
		t.Logf("asked: %s", out)
		return false
	}
	if !answers() {
		t.Fatalf("avahi does not answer before the test: %s", said.String())
	}
	for range 20 {
		b := start(t, lan.Host(2), "--profile", profile(t), "--name", "Ben", "chat")
		a := start(t, lan.Host(1), "--profile", profile(t), "--name", "Anna", "chat")
		a.wait("connected", 5*time.Second)
		b.wait("connected", 5*time.Second)
		if !answers() {
			t.Error("avahi does not answer beside the engine")
		}
		for _, r := range []*running{a, b} {
			r.signal(syscall.SIGTERM)
			r.exit()
		}
	}
}
