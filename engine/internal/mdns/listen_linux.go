package mdns

import (
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// listenGroup binds to the group's own address. A wildcard bind, as package net does it, would take unicast packets
// that are meant for the system's own responder.
func listenGroup(network string, group *net.UDPAddr) (net.PacketConn, error) {
	var family int
	var addr unix.Sockaddr
	if four := group.IP.To4(); four != nil {
		family, addr = unix.AF_INET, &unix.SockaddrInet4{Port: group.Port, Addr: [4]byte(four)}
	} else {
		// Bind to the wildcard address: the group's own address is link-local, so a bind to it would cover one link
		// only, and would fail with EINVAL without one.
		family, addr = unix.AF_INET6, &unix.SockaddrInet6{Port: group.Port}
	}
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_UDP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := os.NewFile(uintptr(fd), network)
	defer f.Close() // FilePacketConn works on a duplicate
	for _, option := range []int{unix.SO_REUSEADDR, unix.SO_REUSEPORT} {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, option, 1); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if family == unix.AF_INET6 {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1); err != nil {
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	if err := unix.Bind(fd, addr); err != nil {
		return nil, os.NewSyscallError("bind", err)
	}
	return net.FilePacketConn(f)
}
