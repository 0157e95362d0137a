package ui

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/engine"
	"multipeer/transfer"
)

// TestErrors_NameCauseAndRemedy checks that the user sees no raw Go error.
func TestErrors_NameCauseAndRemedy(t *testing.T) {
	unknown := errors.New("raw \x1b")
	general := reason(unknown, "Ben", false)
	others := []error{
		transfer.ErrCancelled, transfer.ErrTimes, transfer.ErrExec, transfer.ErrGrew, transfer.ErrNotDurable, // no failures
	}
	for n := 1; !errors.Is(transfer.ReasonError(n), transfer.ErrFailed); n++ {
		err := transfer.ReasonError(n)
		if slices.Contains(others, err) {
			continue
		}
		if reason(err, "Ben", true) == general {
			t.Errorf("no sentence for %v", err)
		}
	}
	for _, err := range []error{
		transfer.ErrDiskFull, transfer.ErrDenied, transfer.ErrBadName, transfer.ErrDigest, transfer.ErrChanged, transfer.ErrUnreadable, transfer.ErrSpecial, transfer.ErrTooMuch, transfer.ErrStalled,
		engine.ErrDeclined, engine.ErrBye, engine.ErrBlocked, engine.ErrBusy, engine.ErrTooLarge, engine.ErrNobody, engine.ErrNoPeer,
		engine.ErrUnavailable, engine.ErrTimeout, engine.ErrLost, engine.ErrNotConnected, engine.ErrInvalid, engine.ErrCancelled, engine.ErrIdentity, engine.ErrVersion,
		engine.ErrMismatch, engine.ErrRefused, engine.ErrOwnKey, engine.ErrAnswered, engine.ErrKicked, engine.ErrClosed, engine.ErrState, engine.ErrInUse, engine.ErrPermissions,
		engine.ErrCorrupt, engine.ErrNoNetwork, transfer.ErrGone, transfer.ErrNoSpace, transfer.ErrReadOnly, transfer.ErrFileTooLarge, transfer.ErrNameRefused,
		transfer.ErrDisk, transfer.ErrVanished, transfer.ErrUnmounted, transfer.ErrNoLinks, transfer.ErrUnsized, transfer.ErrPrivate, transfer.ErrResources, transfer.ErrTooLong, transfer.ErrTooMany, transfer.ErrTotal, transfer.ErrUnsynced, transfer.ErrProtocol, fs.ErrPermission, fs.ErrNotExist,
		&net.OpError{Op: "write", Err: os.NewSyscallError("sendmsg", syscall.ENETUNREACH)},
	} {
		for _, here := range []bool{true, false} {
			s := reason(fmt.Errorf("wrapped: %w", err), "Ben", here)
			if s == "" || s == general || strings.Contains(s, "wrapped") || !strings.HasSuffix(strings.TrimSpace(s), ".") && !strings.HasSuffix(s, "?") {
				t.Errorf("%v: %q", err, s)
			}
			if more := details(err, "Ben", here); more != "" {
				t.Errorf("%v has details: %q", err, more)
			}
		}
	}
	if strings.Contains(general, "raw") {
		t.Errorf("an unknown error: %q", general)
	}
	if more := details(unknown, "Ben", false); !strings.Contains(more, "raw") || strings.Contains(more, "\x1b") {
		t.Errorf("details of an unknown error: %q", more)
	}
	if s := reason(engine.ErrBye, "Ben", true); strings.Contains(s, "Send again") {
		t.Errorf("to the receiver: %q", s)
	}
}

func TestFormat_SizesTimesAndTransfers(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1.0 kB", 99_949: "99.9 kB", 99_951: "100 kB", 999_500: "1.0 MB", 1 << 40: "1.1 TB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for d, want := range map[time.Duration]string{time.Millisecond: "almost done", 59 * time.Second: "59 s left", 61 * time.Second: "2 min left", 2*time.Hour + 5*time.Minute: "2 h 5 min left"} {
		if got := left(d); got != want {
			t.Errorf("%v: %q, want %q", d, got, want)
		}
	}
	tr := engine.Transfer{PeerName: "Ben", Names: []string{"a"}, Items: 3, Files: 2, Bytes: 2000, State: engine.Moving, Done: 1000, Rate: 500, Left: 2 * time.Second}
	if got := title(tr) + " | " + status(tr); got != "a and 2 more | 1.0 kB of 2.0 kB · 500 bytes/s · 2 s left · 0 of 2 files" {
		t.Error(got)
	}
}
