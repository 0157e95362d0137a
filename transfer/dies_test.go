package transfer

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"testing"
	"time"
)

// dies runs a receiver in its own process, which kills itself at its n-th operation, and a sender in this process. It
// returns false if the receiver reached its end.
func dies(t *testing.T, src, dst string, n int) bool {
	t.Helper()
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := exec.Command(os.Args[0], "-test.run", "^TestReceive_SurvivesBeingKilledAtEachOperation$")
	c.Env = append(os.Environ(), "TRANSFER_DIES="+dst, "TRANSFER_AT="+strconv.Itoa(n), "TRANSFER_SOCKET="+l.Addr().String())
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, _ = Send(ctx, only(unixPipe{conn.(*net.UnixConn)}), SendOptions{Paths: []string{src}})
	return c.Wait() != nil
}

// dieAt runs the receiver in the process that dies starts.
func dieAt(t *testing.T, dir string) {
	n, err := strconv.ParseInt(os.Getenv("TRANSFER_AT"), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("unix", os.Getenv("TRANSFER_SOCKET"))
	if err != nil {
		t.Fatal(err)
	}
	var count atomic.Int64
	_, err = Receive(t.Context(), only(unixPipe{conn.(*net.UnixConn)}), ReceiveOptions{Dir: dir, ID: "d", Key: "k", check: func(string, string) error {
		if count.Add(1) == n {
			self, _ := os.FindProcess(os.Getpid())
			_ = self.Kill()
			select {}
		}
		return nil
	}})
	if err != nil {
		t.Fatal(err)
	}
}

type unixPipe struct{ *net.UnixConn }

func (p unixPipe) Interrupt() { _ = p.Close() }
