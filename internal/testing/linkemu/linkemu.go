//go:build linux

// Package linkemu emulates a link between two network namespaces with a rate, a delay, a queue and random loss, for
// tests and benchmarks: not every kernel has netem. The same seed gives the same losses.
package linkemu

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Line describes a link, in each direction.
type Line struct {
	Rate  int64         // bits per second, including the frames around packets
	Delay time.Duration // one way
	Loss  float64       // fraction of the packets, 0 to 1
	Late  float64       // fraction of the packets that arrive lateBy later, behind others
	Queue int           // bytes that wait for the rate; more are dropped
	Seed  uint64
}

// The ends of a link, in its namespaces. Both interfaces are called emu0.
const (
	AddrA = "10.99.0.1"
	AddrB = "10.99.0.2"
	iface = "emu0"
	frame = 38 // bytes of Ethernet around a packet
	mtu   = 1500
)

// Start creates a link between two named network namespaces. It ends with ctx; stop waits for that.
func Start(ctx context.Context, nsA, nsB string, l Line) (stop func(), err error) {
	a, err := open(nsA, AddrA)
	if err != nil {
		return nil, err
	}
	b, err := open(nsB, AddrB)
	if err != nil {
		_ = a.Close()
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for i, d := range [][2]*os.File{{a, b}, {b, a}} {
		packets := make(chan packet, 1<<15)
		wg.Go(func() { l.take(d[0], packets, rand.New(rand.NewPCG(l.Seed, uint64(i)))) })
		wg.Go(func() { deliver(d[1], packets) })
	}
	closeBoth := sync.OnceFunc(func() { _ = a.Close(); _ = b.Close() })
	context.AfterFunc(ctx, closeBoth)
	return func() { cancel(); closeBoth(); wg.Wait() }, nil
}

// open creates an interface in a namespace and returns this side of it.
func open(ns, addr string) (*os.File, error) {
	var fd int
	errs := make(chan error, 1)
	go func() { // the thread stays in the namespace and ends with the goroutine
		runtime.LockOSThread()
		errs <- func() error {
			in, err := os.Open("/run/netns/" + ns)
			if err != nil {
				return err
			}
			defer in.Close()
			if err := unix.Setns(int(in.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("entering %s: %w", ns, err)
			}
			if fd, err = unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
				return fmt.Errorf("opening /dev/net/tun: %w", err)
			}
			req, err := unix.NewIfreq(iface)
			if err != nil {
				return err
			}
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			return unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}()
	}()
	if err := <-errs; err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"addr", "add", addr + "/24", "dev", iface},
		{"link", "set", iface, "mtu", fmt.Sprint(mtu), "txqueuelen", "30000", "up"},
	} {
		args = append([]string{"--net=/run/netns/" + ns, "ip"}, args...)
		if out, err := exec.Command("nsenter", args...).CombinedOutput(); err != nil {
			_ = unix.Close(fd)
			return nil, fmt.Errorf("nsenter %v: %w: %s", args, err, out)
		}
	}
	return os.NewFile(uintptr(fd), iface), nil
}

// lateBy is how much later a late packet arrives.
const lateBy = 2 * time.Millisecond

type packet struct {
	at   time.Time
	data []byte
	late bool
}

var buffers = sync.Pool{New: func() any { b := make([]byte, mtu+100); return &b }}

// take reads packets and decides whether and when each arrives.
func (l Line) take(from *os.File, to chan<- packet, dice *rand.Rand) {
	defer close(to)
	var free time.Time // when the link becomes free
	for {
		b := *buffers.Get().(*[]byte)
		n, err := from.Read(b[:cap(b)])
		if errors.Is(err, os.ErrClosed) || err != nil {
			return
		}
		now := time.Now()
		if free.Before(now) {
			free = now
		}
		waiting := int64(free.Sub(now)) * l.Rate / 8 / int64(time.Second)
		if dice.Float64() < l.Loss || waiting+int64(n) > int64(l.Queue) {
			buffers.Put(&b)
			continue
		}
		free = free.Add(time.Duration(int64(n+frame) * 8 * int64(time.Second) / l.Rate))
		select {
		case to <- packet{free.Add(l.Delay), b[:n], dice.Float64() < l.Late}:
		default:
			buffers.Put(&b)
		}
	}
}

// deliver writes the packets, each when its time has come.
func deliver(to *os.File, packets <-chan packet) {
	var late []packet // in the order of their times
	for p := range packets {
		for len(late) > 0 && late[0].at.Before(p.at) {
			write(to, late[0])
			late = late[1:]
		}
		if p.late {
			p.at = p.at.Add(lateBy)
			late = append(late, p)
			continue
		}
		write(to, p)
	}
	for _, p := range late {
		write(to, p)
	}
}

// write writes a packet when its time has come.
func write(to *os.File, p packet) {
	if wait := time.Until(p.at); wait > 20*time.Microsecond {
		time.Sleep(wait)
	}
	_, _ = to.Write(p.data)
	buffers.Put(&p.data)
}
