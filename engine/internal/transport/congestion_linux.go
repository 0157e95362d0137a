package transport

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// tcpLine returns the system's statistics of a connection.
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

// leastRTT returns the shortest round trip that a connection has seen: one without queueing.
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

// limitQueue limits the bytes in flight; the system buffers about twice as much.
func limitQueue(c *net.TCPConn, bytes int) { _ = c.SetWriteBuffer(bytes) }

// preferBBR requests a congestion control that does not take every loss for a full queue. If the system has none, or
// does not permit it, nothing changes.
func preferBBR(c *net.TCPConn) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) { _ = unix.SetsockoptString(int(fd), unix.IPPROTO_TCP, unix.TCP_CONGESTION, "bbr") })
}
