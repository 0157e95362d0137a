package discovery

import (
	"context"
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// systemEvents sends on told whenever the kernel reports a change of links or addresses (rtnetlink).
func systemEvents(ctx context.Context, told chan<- struct{}) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return // the poll goes on alone
	}
	f := os.NewFile(uintptr(fd), "rtnetlink") // gives reads that a Close ends
	defer f.Close()
	groups := uint32(unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR)
	if unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups}) != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { _ = f.Close() })()
	b := make([]byte, 64<<10)
	for {
		if _, err := f.Read(b); err != nil && !errors.Is(err, unix.ENOBUFS) {
			return
		}
		select {
		case told <- struct{}{}:
		default:
		}
	}
}
