package mdns

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"syscall"
)

// systemPrefixes lists the addresses of all interfaces by index with a single kernel request. Package net requests
// all of them again for each interface.
func systemPrefixes() (map[int][]netip.Prefix, error) {
	raw, err := syscall.NetlinkRIB(syscall.RTM_GETADDR, syscall.AF_UNSPEC)
	if err != nil {
		return nil, err
	}
	messages, err := syscall.ParseNetlinkMessage(raw)
	if err != nil {
		return nil, err
	}
	out := map[int][]netip.Prefix{}
	for _, m := range messages {
		if m.Header.Type != syscall.RTM_NEWADDR {
			continue
		}
		if len(m.Data) < syscall.SizeofIfAddrmsg {
			return nil, errors.New("truncated address message")
		}
		bits, index := int(m.Data[1]), int(binary.NativeEndian.Uint32(m.Data[4:])) // struct ifaddrmsg
		attributes, err := syscall.ParseNetlinkRouteAttr(&m)
		if err != nil {
			return nil, err
		}
		var local, address netip.Addr
		for _, a := range attributes {
			if value, ok := netip.AddrFromSlice(a.Value); ok {
				switch a.Attr.Type {
				case syscall.IFA_LOCAL:
					local = value
				case syscall.IFA_ADDRESS:
					address = value
				}
			}
		}
		if local.IsValid() { // on a point-to-point interface IFA_ADDRESS is the other end
			address = local
		}
		if address.IsValid() {
			out[index] = append(out[index], netip.PrefixFrom(address, bits))
		}
	}
	return out, nil
}
