//go:build linux

package hostile

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"multipeer/engine"
)

// sent is the outcome of one transfer.
type sent struct {
	Took time.Duration
	Err  string
}

// runSender runs a peer that the victim has verified and that is normally offline: for each line on its standard
// input it connects, sends a file, and leaves, as the command-line tool does.
func runSender(at, id, service, dir string) error {
	victim, err := engine.ParsePeerID(id)
	if err != nil {
		return err
	}
	file := filepath.Join(dir, "from a friend")
	if err := os.WriteFile(file, make([]byte, 100_000), 0o600); err != nil {
		return err
	}
	once := func() error {
		ctx, stop := context.WithCancel(context.Background())
		e, err := engine.New(engine.Config{Offers: engine.Everyone, Name: "friend", Service: service, Profile: filepath.Join(dir, "profile"), Discovery: silence{}, Hidden: true})
		if err != nil {
			stop()
			return err
		}
		ended := make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		defer func() { stop(); <-ended }()
		for !e.Self().Running {
			time.Sleep(time.Millisecond)
		}
		within, cancel := context.WithTimeout(ctx, 10*time.Second)
		defer cancel()
		if _, err := e.Dial(within, at); err != nil {
			return fmt.Errorf("dialling: %w", err)
		}
		t, err := e.Offer(within, victim, file)
		if err != nil {
			return fmt.Errorf("offering: %w", err)
		}
		if t, err = e.Wait(within, t.ID); err == nil {
			err = t.Err
		}
		return err
	}
	e, err := engine.New(engine.Config{Offers: engine.Everyone, Profile: filepath.Join(dir, "profile")})
	if err != nil {
		return err
	}
	fmt.Println(e.Self().ID)
	if err := e.Close(); err != nil {
		return err
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		began := time.Now()
		s := sent{}
		if err := once(); err != nil {
			s.Err = err.Error()
		}
		s.Took = time.Since(began)
		b, _ := json.Marshal(s)
		fmt.Println(string(b))
	}
	return nil
}

// sender is that process as the test sees it.
type sender struct {
	in  io.WriteCloser
	out *bufio.Reader
}

func startSender(t *testing.T, v *victim, service string) *sender {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), fmt.Sprintf("MULTIPEER_SENDER=127.0.0.1:%d", v.port), "MULTIPEER_VICTIM_ID="+v.id.String(), "MULTIPEER_SERVICE="+service, "MULTIPEER_DIR="+t.TempDir())
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error("the sender ended with ", err)
		}
	})
	s := &sender{in, bufio.NewReader(out)}
	var id string
	if _, err := fmt.Fscanln(s.out, &id); err != nil {
		t.Fatal("the sender does not start: ", err)
	}
	if _, err := v.ask("verify " + id); err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes it connect, send a file, and leave.
func (s *sender) send() (r sent, err error) {
	if _, err := s.in.Write([]byte("\n")); err != nil {
		return r, err
	}
	line, err := s.out.ReadString('\n')
	if err != nil {
		return r, err
	}
	return r, json.Unmarshal([]byte(line), &r)
}
