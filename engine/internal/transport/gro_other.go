//go:build !linux

package transport

import "net"

// coalesce returns the socket unchanged: only Linux has this receive offload.
func coalesce(c *net.UDPConn) net.PacketConn { return c }
