//go:build unix

package privatefile

import (
	"fmt"
	"os"
	"os/user"
	"syscall"
)

// ownerOf returns the owner of a file, as text for a person, and reports whether it is this user.
func ownerOf(info os.FileInfo) (name string, own bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return "unknown", false
	}
	if int(st.Uid) == os.Geteuid() {
		return "", true
	}
	id := fmt.Sprint(st.Uid)
	if u, err := user.LookupId(id); err == nil {
		return u.Username, false
	}
	return "user ID " + id, false
}
