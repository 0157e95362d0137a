//go:build !linux

package transport

import (
	"net"
	"time"
)

func tcpLine(*net.TCPConn) (packets, lost uint64, rtt time.Duration) { return 0, 0, 0 }

func preferBBR(*net.TCPConn) {}

func leastRTT(*net.TCPConn) time.Duration { return 0 }

// limitQueue leaves it to the system, since it cannot be told here when it is too little.
func limitQueue(*net.TCPConn, int) {}
