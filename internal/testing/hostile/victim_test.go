//go:build linux

package hostile

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"multipeer/bridge/localsend"
	"multipeer/engine"
)

// TestMain is also the program under attack, and the honest one.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MULTIPEER_VICTIM"); dir != "" {
		if err := runVictim(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if at := os.Getenv("MULTIPEER_SENDER"); at != "" {
		if err := runSender(at, os.Getenv("MULTIPEER_VICTIM_ID"), os.Getenv("MULTIPEER_SERVICE"), os.Getenv("MULTIPEER_DIR")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if at := os.Getenv("MULTIPEER_HONEST"); at != "" {
		if err := runHonest(at, os.Getenv("MULTIPEER_VICTIM_ID"), os.Getenv("MULTIPEER_SERVICE")); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// stats is what the victim reports about itself.
type stats struct {
	Invitations, Offers, Messages, Streams, Pairings int64
	Peers, Sessions, Goroutines, Descriptors         int
	Names                                            []string // of the peers
	Connected                                        []string // of those with a session
	Verified                                         []string
	Asked                                            []string // of those that wait to be chosen for pairing
	Kept                                             int      // how many keys the profile holds
}

// runVictim runs an engine that accepts peers whose name starts with "friend", leaves all others unanswered, and
// answers each line on its standard input with what it has seen.
func runVictim(dir string) error {
	friend := func(name string) bool { return strings.HasPrefix(name, "friend") }
	cfg := engine.Config{
		Offers: engine.Everyone, // as in the window: each offer is a question
		Name:   "victim", Service: os.Getenv("MULTIPEER_SERVICE"), Profile: filepath.Join(dir, "profile"), Interfaces: []string{"lo"},
		AcceptIf: func(p engine.Peer, _ json.RawMessage) bool { return friend(p.Name) },
	}
	var gateway *localsend.Gateway
	if os.Getenv("MULTIPEER_BRIDGES") != "" {
		var err error
		if gateway, err = addLocalSend(&cfg); err != nil {
			return err
		}
	}
	e, err := engine.New(cfg)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	ended := make(chan error, 1)
	var s struct{ invitations, offers, messages, streams, pairings atomic.Int64 }
	e.Handle(ctx, engine.Handler{
		Invitation: func(*engine.Invitation) { s.invitations.Add(1) },
		Offer: func(o *engine.Offer) {
			s.offers.Add(1)
			if friend(o.Transfer.PeerName) {
				_ = o.Accept(engine.AcceptOptions{Dir: filepath.Join(dir, "inbox"), Reserve: -1, Person: true})
			}
		},
		Receive:       func(engine.Message) { s.messages.Add(1) },
		StreamReceive: func(x *engine.Stream) { s.streams.Add(1) },
		Pairing:       func(engine.Pairing) { s.pairings.Add(1) },
	})
	time.Sleep(50 * time.Millisecond) // the events are read by then
	go func() { ended <- e.Run(ctx) }()
	for !e.Self().Running {
		select {
		case err := <-ended:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	bridges := ""
	if gateway != nil {
		l, err := openLink(ctx, filepath.Join(dir, "inbox"), os.Args[0])
		if err != nil {
			return err
		}
		defer l.Close()
		bridges = fmt.Sprint(gateway.Port(), " ", l.URLs()[0])
	}
	fmt.Println(e.Self().Port, e.Self().ID, bridges)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		switch command, arg, _ := strings.Cut(in.Text(), " "); command {
		case "pair": // the user opens the pairing window,
			e.OpenPairing()
		case "close":
			e.ClosePairing()
		case "pick": // chooses any device that asks,
			for _, p := range e.Pairings() {
				_ = e.Pair(ctx, p.Peer)
			}
		case "verify": // has compared an ID
			if id, err := engine.ParsePeerID(arg); err == nil {
				_ = e.SetTrust(id, engine.TrustVerified)
			}
		case "yes": // and confirms a code
			for _, p := range e.Pairings() {
				_ = e.ConfirmPairing(p.Peer, arg)
			}
		}
		peers := e.Peers()
		out := stats{
			s.invitations.Load(), s.offers.Load(), s.messages.Load(), s.streams.Load(), s.pairings.Load(),
			len(peers), 0, runtime.NumGoroutine(), 0, nil, nil, nil, nil, len(e.Acquaintances()),
		}
		for _, p := range e.Pairings() {
			out.Asked = append(out.Asked, p.Name)
		}
		for _, p := range peers {
			out.Names = append(out.Names, p.Name)
			if p.Trust == engine.TrustVerified {
				out.Verified = append(out.Verified, p.Name)
			}
			if p.HasSession() {
				out.Sessions++
				out.Connected = append(out.Connected, p.Name)
			}
		}
		if fds, err := os.ReadDir("/proc/self/fd"); err == nil {
			out.Descriptors = len(fds)
		}
		b, _ := json.Marshal(out)
		fmt.Println(string(b))
	}
	stop()
	return <-ended
}

// victim is the process as the tests see it.
type victim struct {
	t    *testing.T
	dir  string
	port int
	id   engine.PeerID
	// localSend is the port of the LocalSend gateway, and link the page of a link, if MULTIPEER_BRIDGES is set.
	localSend int
	link      string
	cmd       *exec.Cmd
	in        interface{ Write([]byte) (int, error) }
	out       *bufio.Reader
}

func startVictim(t *testing.T, service string) *victim {
	t.Helper()
	v := &victim{t: t, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(v.dir, "inbox"), 0o755); err != nil {
		t.Fatal(err)
	}
	v.cmd = exec.Command(os.Args[0], "-test.run=^$")
	v.cmd.Env = append(os.Environ(), "MULTIPEER_VICTIM="+v.dir, "MULTIPEER_SERVICE="+service, "GORACE=halt_on_error=1")
	v.cmd.Stderr = os.Stderr
	in, err := v.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := v.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := v.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	v.in, v.out = in, bufio.NewReader(out)
	line, err := v.out.ReadString('\n')
	if err != nil {
		t.Fatal("the victim does not start: ", err)
	}
	var id string
	if _, err := fmt.Sscan(line, &v.port, &id); err != nil {
		t.Fatal(line, err)
	}
	_, _ = fmt.Sscan(line, &v.port, &id, &v.localSend, &v.link) // without bridges, the line ends here
	if v.id, err = engine.ParsePeerID(id); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		done := make(chan error, 1)
		go func() { done <- v.cmd.Wait() }()
		select {
		case err := <-done:
			if err != nil {
				t.Error("the victim ended with ", err)
			}
		case <-time.After(20 * time.Second):
			_ = v.cmd.Process.Kill()
			t.Error("the victim does not end")
		}
	})
	return v
}

// ask returns what the victim has seen.
func (v *victim) ask(command string) (stats, error) {
	var s stats
	if _, err := v.in.Write([]byte(command + "\n")); err != nil {
		return s, fmt.Errorf("the victim is gone: %w", err)
	}
	line, err := v.out.ReadString('\n')
	if err != nil {
		return s, fmt.Errorf("the victim is gone: %w", err)
	}
	return s, json.Unmarshal([]byte(line), &s)
}

// resetPeak restarts the measurement of peak.
func (v *victim) resetPeak() {
	_ = os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", v.cmd.Process.Pid), []byte("5"), 0)
}

// peak returns the victim's maximum resident memory, in bytes.
func (v *victim) peak() int64 {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", v.cmd.Process.Pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return n << 10
		}
	}
	return 0
}

// cpu returns the CPU time that the victim has used.
func (v *victim) cpu() time.Duration {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", v.cmd.Process.Pid))
	f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(f) < 13 {
		return 0
	}
	user, _ := strconv.Atoi(f[11])
	system, _ := strconv.Atoi(f[12])
	return time.Duration(user+system) * 10 * time.Millisecond
}

// files lists the victim's folder, without partial files.
func (v *victim) files() (out []string) {
	root := filepath.Join(v.dir, "inbox")
	_ = filepath.Walk(root, func(p string, info os.FileInfo, err error) error {
		if err != nil || p == root {
			return nil
		}
		rel, _ := filepath.Rel(root, p)
		if strings.HasPrefix(rel, ".") {
			return filepath.SkipDir
		}
		out = append(out, rel)
		return nil
	})
	return out
}

// outside lists what is outside the folders that the victim may write to.
func (v *victim) outside() (out []string) {
	entries, _ := os.ReadDir(v.dir)
	for _, e := range entries {
		if e.Name() != "inbox" && e.Name() != "profile" {
			out = append(out, e.Name())
		}
	}
	return out
}
