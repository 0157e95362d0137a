package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// line is the link between a sender and a receiver.
type line struct {
	name string
	to   string // the receiver's address
	from string
	a, b string // namespaces of the sender and the receiver; empty is the current one
	undo []func()
}

var errNoNamespaces = errors.New("network namespaces need Linux, root, iproute2 and nsenter")

// isWiFi reports whether the line loses packets or delivers them late.
func (l *line) isWiFi() bool { return strings.HasPrefix(l.name, "wifi") }

// command prepares a program that runs at the receiver's end or the sender's.
func (l *line) command(ctx context.Context, receiver bool, args []string) *exec.Cmd {
	ns := l.a
	if receiver {
		ns = l.b
	}
	if ns != "" {
		args = append([]string{"nsenter", "--net=/run/netns/" + ns}, args...)
	}
	return exec.CommandContext(ctx, args[0], args[1:]...)
}

func (l *line) remove() {
	for i := len(l.undo) - 1; i >= 0; i-- {
		l.undo[i]()
	}
}

func sh(format string, a ...any) error {
	args := strings.Fields(fmt.Sprintf(format, a...))
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

// layHosts creates two network namespaces that are not connected yet.
func layHosts(name string) (*line, error) {
	for _, p := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(p); err != nil {
			return nil, errNoNamespaces
		}
	}
	if os.Getuid() != 0 {
		return nil, errNoNamespaces
	}
	l := &line{name: name, a: fmt.Sprintf("mpb%d-a", os.Getpid()), b: fmt.Sprintf("mpb%d-b", os.Getpid())}
	for _, ns := range []string{l.a, l.b} {
		if err := sh("ip netns add %s", ns); err != nil {
			l.remove()
			return nil, fmt.Errorf("%w: %w", errNoNamespaces, err)
		}
		l.undo = append(l.undo, func() { _ = sh("ip netns del %s", ns) })
		if err := sh("nsenter --net=/run/netns/%s ip link set lo up", ns); err != nil {
			l.remove()
			return nil, err
		}
	}
	return l, nil
}

func layCable(context.Context) (*line, error) {
	l, err := layHosts("cable")
	if err != nil {
		return nil, err
	}
	l.from, l.to = "10.98.0.1", "10.98.0.2"
	for _, c := range []string{
		fmt.Sprintf("nsenter --net=/run/netns/%s ip link add eth0 type veth peer name eth0 netns %s", l.a, l.b),
		fmt.Sprintf("nsenter --net=/run/netns/%s ip addr add %s/24 dev eth0", l.a, l.from),
		fmt.Sprintf("nsenter --net=/run/netns/%s ip addr add %s/24 dev eth0", l.b, l.to),
		fmt.Sprintf("nsenter --net=/run/netns/%s ip link set eth0 up", l.a),
		fmt.Sprintf("nsenter --net=/run/netns/%s ip link set eth0 up", l.b),
	} {
		if err := sh("%s", c); err != nil {
			l.remove()
			return nil, err
		}
	}
	return l, nil
}

func layGigabit(ctx context.Context) (*line, error) {
	l, err := layCable(ctx)
	if err != nil {
		return nil, err
	}
	l.name = "gigabit"
	// The bucket holds a whole 64 KiB packet of segmentation offload, including headers. With a smaller bucket, the
	// kernel splits these packets in software, which no network card needs: that costs three times the CPU time, and
	// its bursts delay every other packet by 12 ms.
	for _, ns := range []string{l.a, l.b} {
		if err := sh("nsenter --net=/run/netns/%s tc qdisc add dev eth0 root tbf rate 1gbit burst 128kb limit 524288", ns); err != nil {
			l.remove()
			return nil, fmt.Errorf("%w: %w", errNoNamespaces, err)
		}
	}
	return l, nil
}
