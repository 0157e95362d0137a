package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tcpLine is what the system knows of a connection's line.
func tcpLine(c *net.TCPConn) (packets, lost uint64, rtt time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, 0, 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			packets, lost, rtt = uint64(info.Segs_out), uint64(info.Total_retrans), time.Duration(info.Rtt)*time.Microsecond
		}
	})
	return packets, lost, rtt
}

// leastRTT is the shortest round trip that a connection has seen: without any queue.
func leastRTT(c *net.TCPConn) (rtt time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Min_rtt) * time.Microsecond
		}
	})
	return rtt
}

// limitQueue bounds what may be under way; the system keeps about twice as much.
func limitQueue(c *net.TCPConn, bytes int) { _ = c.SetWriteBuffer(bytes) }

// preferBBR asks for a congestion control that does not take every loss for a full queue. Where the system has none, or
// does not let everybody have it, nothing changes.
func preferBBR(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr") })
}
