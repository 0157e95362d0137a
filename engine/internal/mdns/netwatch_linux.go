package mdns

import (
	"context"
	"errors"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// systemEvents sends on notified whenever the kernel reports a change of links or addresses (rtnetlink). It sets
// notifying once it is subscribed, and returns when it cannot continue.
func systemEvents(ctx context.Context, notified chan<- struct{}, notifying *atomic.Bool) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return // polling continues without it
	}
	f := os.NewFile(uintptr(fd), "rtnetlink") // a file, so that Close unblocks reads
	defer f.Close()
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}) != nil {
		return
	}
	notifying.Store(true)
	select {
	case notified <- struct{}{}: // for changes before the subscription
	default:
	}
	defer context.AfterFunc(ctx, func() { _ = f.Close() })()
	b := make([]byte, 64<<10)
	for {
		if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case notified <- struct{}{}:
		default:
		}
	}
}
