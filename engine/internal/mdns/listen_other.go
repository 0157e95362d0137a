//go:build !linux

package mdns

import "net"

// listenGroup binds to the wildcard address with a reusable port: package net does that for a multicast address.
func listenGroup(network string, group *net.UDPAddr) (net.PacketConn, error) {
	return net.ListenUDP(network, group)
}
