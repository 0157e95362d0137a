package mdns

import (
	"errors"
	"net"
)

// joiner joins and leaves a multicast group on an interface, with one socket.
type joiner interface {
	JoinGroup(*net.Interface, net.Addr) error
	LeaveGroup(*net.Interface, net.Addr) error
	Close() error
}

// members maintains the memberships of a group on many interfaces. Linux lets one socket join a group on 20
// interfaces (igmp_max_memberships); the first socket also receives what other sockets have joined
// (IP_MULTICAST_ALL).
type members struct {
	group *net.UDPAddr
	first joiner                 // the socket that listens; nil if there is none
	more  func() (joiner, error) // creates a socket that only joins groups
	extra []joiner
	on    map[int]membership // by interface index
}

type membership struct {
	in joiner
	on net.Interface
}

// join joins the group on an interface, unless it is joined already.
func (m *members) join(f net.Interface) error {
	if m.first == nil {
		return net.ErrClosed
	}
	if old, ok := m.on[f.Index]; ok {
		if old.on.Name == f.Name {
			return nil
		}
		m.leave(f.Index) // another interface has this index now
	}
	var failed error
	for _, j := range append([]joiner{m.first}, m.extra...) {
		err := j.JoinGroup(&f, m.group)
		if err == nil {
			m.on[f.Index] = membership{j, f}
			return nil
		}
		failed = err
	}
	if len(m.on) == 0 {
		return failed
	}
	j, err := m.more()
	if err != nil {
		return errors.Join(failed, err)
	}
	if err := j.JoinGroup(&f, m.group); err != nil {
		_ = j.Close()
		return err
	}
	m.extra = append(m.extra, j)
	m.on[f.Index] = membership{j, f}
	return nil
}

// leave leaves the group on an interface. Until then, the system keeps the membership, even if the interface no longer
// exists.
func (m *members) leave(index int) {
	if old, ok := m.on[index]; ok {
		_ = old.in.LeaveGroup(&old.on, m.group)
		delete(m.on, index)
	}
}

// keep leaves the group on all interfaces except those in indexes.
func (m *members) keep(indexes map[int]bool) {
	for index := range m.on {
		if !indexes[index] {
			m.leave(index)
		}
	}
}

func (m *members) close() {
	for _, j := range m.extra {
		_ = j.Close()
	}
	m.extra = nil
}
