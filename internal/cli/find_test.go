package cli

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// TestFind_OwnDeviceIsReportedAtOnce looks for this device by ID, by name and by address.
func TestFind_OwnDeviceIsReportedAtOnce(t *testing.T) {
	args := common(t)
	profile := args("Anna")[1]
	e, err := engine.New(engine.Config{Profile: profile, Name: "Anna"})
	if err != nil {
		t.Fatal(err)
	}
	id := e.Self().ID
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := l.LocalAddr().String()[len("127.0.0.1:"):]
	_ = l.Close()
	for to, want := range map[string]string{
		id.String(): "is this device's own ID", id.Short(): "is this device's own ID", "Anna": `"Anna" is the name of this device`, "anna": "is the name of this device",
		"127.0.0.1:" + port: "is this device; give the address of a different one", "localhost:" + port: "is this device", "[::1]:" + port: "is this device",
	} {
		var said strings.Builder
		began := time.Now()
		code := Run(t.Context(), args("Anna", "send", "--port", port, "--wait", "1m", "--to", to, file), strings.NewReader(""), io.Discard, &said)
		if code == exitDone || !strings.Contains(said.String(), want) || strings.Contains(said.String(), "firewall") {
			t.Errorf("--to %s: exit code %d, %q", to, code, said.String())
		}
		if took := time.Since(began); took > 20*time.Second {
			t.Errorf("--to %s took %v", to, took)
		}
	}
}

// TestMayBeHost checks which inputs are tried both as a name and as an address.
func TestMayBeHost(t *testing.T) {
	for s, want := range map[string]bool{"six.lan": true, "a.b.c": true, "Anna": false, "Anna.": false, "Anna's Mac": false, "Dr. Ben": false, "v1.2": true, ".": false, "a/b.c": false} {
		if got := mayBeHost(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}

// TestFindEither_NameIsAHost: anyone can take the name of a host. Such a name means the known device with that name,
// otherwise the host; if both exist and differ, it means neither.
func TestFindEither_NameIsAHost(t *testing.T) {
	nas, thief, other := engine.Peer{ID: engine.PeerID{1}, Name: "NAS"}, engine.Peer{ID: engine.PeerID{2}, Name: "nas.lan"}, engine.Peer{ID: engine.PeerID{3}, Name: "nas.lan"}
	none := engine.Peer{}
	away, refused := exit(exitNotFound, engine.ErrNoPeer), exit(exitNotFound, engine.ErrTimeout)
	acquainted := func(peers ...engine.Peer) (out []engine.Acquaintance) {
		for _, p := range peers {
			out = append(out, engine.Acquaintance{ID: p.ID, Name: p.Name, Trust: engine.TrustSeen})
		}
		return out
	}
	type way struct {
		peer  engine.Peer
		after time.Duration
	}
	for what, c := range map[string]struct {
		name, host way
		noHost     bool // the name cannot be resolved
		known      []engine.Acquaintance
		want       engine.Peer
		code       int
	}{
		"a stranger, before the host answers":            {name: way{thief, 0}, host: way{nas, 9 * time.Second}, want: nas},
		"a stranger, after the host has answered":        {name: way{thief, 9 * time.Second}, host: way{nas, 0}, want: nas},
		"a stranger, and the host is off":                {name: way{thief, 0}, host: way{none, 20 * time.Second}, code: exitNotFound},
		"a stranger, and there is no host":               {name: way{thief, 0}, host: way{none, 20 * time.Second}, noHost: true, code: exitNotFound},
		"a stranger that is the host":                    {name: way{thief, 0}, host: way{thief, time.Second}, want: thief},
		"the known one, and no host":                     {name: way{other, 0}, host: way{none, 20 * time.Second}, noHost: true, known: acquainted(other), want: other},
		"the known one, and the host is it":              {name: way{other, 0}, host: way{other, time.Second}, known: acquainted(other), want: other},
		"the known one, and the host is another":         {name: way{other, 0}, host: way{nas, time.Second}, known: acquainted(other), code: exitUsage},
		"the known one is away, and the host is another": {name: way{none, 20 * time.Second}, host: way{nas, 0}, known: acquainted(other), code: exitUsage},
		"the known one is not seen, and the host is it":  {name: way{none, 20 * time.Second}, host: way{other, 0}, known: acquainted(other), want: other},
		"no one":                            {name: way{none, 20 * time.Second}, host: way{none, 20 * time.Second}, code: exitNotFound},
		"no one of that name, and the host": {name: way{none, 20 * time.Second}, host: way{nas, 0}, want: nas},
		"two strangers, which is ambiguous, and the host": {name: way{engine.Peer{Name: "ambiguous"}, 0}, host: way{nas, time.Second}, want: nas},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				look := func(w way, missing error) func(context.Context) (engine.Peer, error) {
					return func(ctx context.Context) (engine.Peer, error) {
						select {
						case <-time.After(w.after):
						case <-ctx.Done():
							return none, errInterrupted
						}
						if w.peer.Name == "ambiguous" {
							return none, exit(exitUsage, engine.ErrInvalid)
						}
						if w.peer.ID.IsZero() {
							return none, missing
						}
						return w.peer, nil
					}
				}
				got, err := findEither(t.Context(), "nas.lan", search{
					byName: look(c.name, away), byHost: look(c.host, refused), hostOnce: look(c.host, refused),
					isHost: func(context.Context) bool { return !c.noHost }, known: c.known,
				})
				var e *exitError
				if got.ID != c.want.ID || errors.As(err, &e) != (c.code != exitDone) || e != nil && e.code != c.code {
					t.Errorf("%v, %v; want %v and exit code %d", got.Name, err, c.want.Name, c.code)
				}
			})
		})
	}
}

// TestFindNamed_NameLikeAnID: a device that uses the start of another device's ID as its name gets no files just
// because it was found first. A name that only looks like an ID still works.
func TestFindNamed_NameLikeAnID(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "anna")
	for _, late := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Millisecond)
			anna := net.Start(engine.Config{Name: "Anna", Profile: profile})
			id := anna.Self().ID
			if err := anna.Stop(); err != nil {
				t.Fatal(err)
			}
			net.Start(engine.Config{Name: id.Short()})
			me := net.Start(engine.Config{Name: "Me"})
			time.Sleep(time.Second)
			began := time.Now()
			type answer struct {
				peer engine.Peer
				err  error
			}
			found := make(chan answer, 1)
			go func() {
				p := &program{out: newPrinter(io.Discard, io.Discard)}
				peer, err := p.findNamed(t.Context(), me.Engine, id.Short(), 20*time.Second)
				found <- answer{peer, err}
			}()
			if time.Sleep(time.Second); late {
				net.Start(engine.Config{Name: "Anna", Profile: profile})
			}
			got := <-found
			peer, err := got.peer, got.err
			if late != errors.Is(err, engine.ErrInvalid) || !late && peer.Name != id.Short() {
				t.Errorf("comes late: %v: found %v, %v", late, peer.Name, err)
			}
			if took := time.Since(began); took > sameName+time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestFindNamed_NameOfTwoDevices checks that a device that no one knows does not get files because it was found a moment
// before another one with its name. The name of a known device means that device at once.
func TestFindNamed_NameOfTwoDevices(t *testing.T) {
	for _, second := range []time.Duration{0, 10 * time.Millisecond, 800 * time.Millisecond} {
		synctest.Test(t, func(t *testing.T) {
			net := enginetest.New(t, time.Millisecond)
			first := net.Start(engine.Config{Name: "Ben"})
			me := net.Start(engine.Config{Name: "Me"})
			for len(me.Peers()) == 0 {
				time.Sleep(time.Millisecond)
			}
			time.AfterFunc(second, func() { net.Start(engine.Config{Name: "Ben"}) })
			p := &program{out: newPrinter(io.Discard, io.Discard)}
			if peer, err := p.findNamed(t.Context(), me.Engine, "Ben", 20*time.Second); !errors.Is(err, engine.ErrInvalid) {
				t.Errorf("the second device comes after %v: found %s, %v", second, peer.ID.Short(), err)
			}
			if err := me.SetTrust(first.Self().ID, engine.TrustSeen); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			if peer, err := p.findNamed(t.Context(), me.Engine, "Ben", 20*time.Second); err != nil || peer.ID != first.Self().ID || time.Since(began) > 0 {
				t.Errorf("the known device: %s, %v, after %v", peer.ID.Short(), err, time.Since(began))
			}
		})
	}
}

// TestPairConfirm_NameLikeAnID: a device that uses the start of another device's ID as its name is not the device that
// the user meant.
func TestPairConfirm_NameLikeAnID(t *testing.T) {
	e, err := engine.New(engine.Config{Name: "Me", Profile: filepath.Join(t.TempDir(), "me")})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	anna, thief := engine.PeerID{1}, engine.PeerID{2}
	if err := e.SetTrust(anna, engine.TrustSeen); err != nil {
		t.Fatal(err)
	}
	r := newPairer(&program{}, e)
	for who, want := range map[string]bool{anna.Short(): false, "Anna": true} {
		if got := r.means(who, engine.Pairing{Peer: thief, Name: who}); got != want {
			t.Errorf("%s: %v", who, got)
		}
	}
}

// TestQuoted_NamesThatImitateTheTextAroundThem: such names are printed in quotes.
func TestQuoted_NamesThatImitateTheTextAroundThem(t *testing.T) {
	for name, want := range map[string]string{
		"Anna": "Anna", "Anna's Mac-2": "Anna's Mac-2", "Zoë & Ben": "Zoë & Ben",
		"Anna: see you":             `"Anna: see you"`,
		"Anna (zkd3utoa), verified": `"Anna (zkd3utoa), verified"`,
		`Anna" (zkd3utoa): "x`:      `"Anna' (zkd3utoa): 'x"`,
		"Anna ✓":                    `"Anna ✓"`,
	} {
		if got := quoted(name); got != want {
			t.Errorf("%s is printed as %s", name, got)
		}
	}
}
