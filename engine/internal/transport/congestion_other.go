//go:build !linux

package transport

import (
	"net"
	"time"
)

func tcpLine(*net.TCPConn) (packets, lost uint64, rtt time.Duration) { return 0, 0, 0 }

func preferBBR(*net.TCPConn) {}

func leastRTT(*net.TCPConn) time.Duration { return 0 }

// limitQueue leaves the limit to the system, because this system offers no way to detect that it is too low.
func limitQueue(*net.TCPConn, int) {}
