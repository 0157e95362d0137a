package ui

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// This file turns the engine's values into user-facing text. errors.go does the same for its errors.

// size formats a byte count in steps of 1000, as disks and networks are sold.
func size(n int64) string {
	units := []string{"", "kB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	switch {
	case i == 0:
		return trn("{{.N}} bytes", n)
	case f >= 99.95:
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return strings.Replace(fmt.Sprintf("%.1f %s", f, units[i]), ".", tr("decimal point"), 1)
}

// shortPath replaces the home folder with ~, except on Windows.
func shortPath(path string) string {
	home, err := os.UserHomeDir()
	if rest, below := strings.CutPrefix(path, home+string(filepath.Separator)); below && err == nil && home != "" && runtime.GOOS != "windows" {
		return "~/" + rest
	}
	return path
}

// roundSize is size without a trailing ".0".
func roundSize(n int64) string { return strings.Replace(size(n), tr("decimal point")+"0 ", " ", 1) }

// left formats the remaining time.
func left(d time.Duration) string {
	switch s := int64(d.Round(time.Second) / time.Second); {
	case s < 1:
		return tr("almost done")
	case s < 60:
		return tr("{{.S}} s left", "S", s)
	case s < 3600:
		return tr("{{.M}} min left", "M", (s+59)/60)
	default:
		return tr("{{.H}} h {{.M}} min left", "H", s/3600, "M", s%3600/60)
	}
}

// dayName returns the name of a day, which is "Today" or "Yesterday" for the last two days.
func dayName(at time.Time) string {
	switch {
	case isToday(at):
		return tr("Today")
	case !at.Before(midnight().AddDate(0, 0, -1)):
		return tr("Yesterday")
	}
	return at.Local().Format(tr("2 January 2006 as digits"))
}

// midnight returns the start of the current day.
func midnight() time.Time {
	y, m, d := time.Now().Date()
	return time.Date(y, m, d, 0, 0, 0, 0, time.Local)
}

func isToday(at time.Time) bool { return !at.Before(midnight()) }

// shortTime returns the time of day if at is today, otherwise the day.
func shortTime(at time.Time) string {
	if isToday(at) {
		return at.Local().Format("15:04")
	}
	return dayName(at)
}

// newRows returns the text that states how many rows of a timeline are new.
func newRows(n int) string { return trn("{{.N}} new", int64(n)) }

// title returns the name of a transfer.
func title(t engine.Transfer) string {
	if len(t.Names) == 0 {
		return tr("Files")
	}
	if t.Items > 1 {
		return trn("{{.Name}} and {{.N}} more", t.Items-1, "Name", t.Names[0])
	}
	return t.Names[0]
}

// content describes the size of a transfer.
func content(t engine.Transfer) string {
	s := size(t.Bytes)
	if t.Files != 1 || t.Folders > 0 {
		s = trn("{{.N}} files", t.Files) + ", " + s
	}
	if t.Counting {
		s += ", " + tr("still counting")
	}
	return s
}

// status returns the line below a transfer's title.
func status(t engine.Transfer) string {
	name := []any{"Name", widgets.Shortened(t.PeerName, shownName)}
	switch t.State {
	case engine.Queued:
		switch {
		case errors.Is(t.Err, engine.ErrBusy) && t.Done == 0: // it has too many offers at the moment
			return joined(content(t), tr("waiting for {{.Name}} to accept", name...))
		case t.Err != nil:
			return joined(tr("Resumes when {{.Name}} is back", name...), progressOf(t))
		case t.Incoming:
			return joined(content(t), tr("Starting…"))
		}
		return joined(content(t), tr("Queued"))
	case engine.Stalled:
		return joined(stalled(t), progressOf(t))
	case engine.Paused:
		if t.ByPeer {
			return joined(progressOf(t), tr("paused by {{.Name}}", name...))
		}
		return joined(progressOf(t), tr("paused by you"))
	case engine.Offered:
		if t.Incoming {
			return joined(content(t), tr("from {{.Name}}", name...))
		}
		return joined(content(t), tr("waiting for {{.Name}} to accept", name...))
	case engine.Moving:
		s := progressOf(t)
		if t.Rate > 0 {
			s = joined(s, size(int64(t.Rate))+"/s")
		}
		if t.Left > 0 {
			s = joined(s, left(t.Left))
		}
		if t.Files > 1 {
			s = joined(s, tr("{{.N}} of {{.All}} files", "N", t.DoneFiles, "All", t.Files))
		}
		return s
	case engine.Finishing:
		return joined(size(t.Bytes), tr("Saving to disk…"))
	case engine.Delivered:
		s := joined(outcome(t), content(t))
		if t.Unchanged > 0 {
			s = joined(s, trn("{{.N}} already there", t.Unchanged))
		}
		if t.Renamed > 0 && t.Incoming {
			s = joined(s, trn("{{.N}} renamed", t.Renamed))
		}
		return s
	case engine.Declined:
		if t.Incoming {
			return joined(tr("You declined"), content(t))
		}
		return joined(tr("{{.Name}} declined", name...), content(t))
	case engine.Cancelled:
		if t.ByPeer {
			return joined(tr("{{.Name}} cancelled", name...), content(t))
		}
		return joined(tr("You cancelled"), content(t))
	}
	return tr("{{.Done}} of {{.All}}", "Done", size(t.Done), "All", content(t)) // the card shows the reason below
}

// outcome states that a transfer was delivered, and whether any files were skipped.
func outcome(t engine.Transfer) string {
	switch {
	case t.Incoming && t.LeftOut > 0:
		return trn("Received, {{.N}} skipped", t.LeftOut)
	case t.Incoming:
		return tr("Received")
	case t.LeftOut > 0:
		return trn("Delivered, {{.N}} skipped", t.LeftOut)
	}
	return tr("Delivered")
}

// otherSide names the peer of a transfer.
func otherSide(t engine.Transfer) string {
	if t.Incoming {
		return tr("from {{.Name}}", "Name", widgets.Shortened(t.PeerName, shownName))
	}
	return tr("to {{.Name}}", "Name", widgets.Shortened(t.PeerName, shownName))
}

func progressOf(t engine.Transfer) string {
	return tr("{{.Done}} of {{.All}}", "Done", size(t.Done), "All", size(t.Bytes))
}

// peerStatus returns the line below a peer's name.
func peerStatus(p engine.Peer) string {
	if via := viaStatus(p, p.Trust); via != "" && p.Trust != engine.TrustBlocked {
		return via
	}
	s := joined(kindName(p.Info["kind"]), peerState(p))
	if p.Trust == engine.TrustVerified {
		s = joined(s, tr("verified"))
	}
	return s
}

func peerState(p engine.Peer) string {
	switch {
	case p.Trust == engine.TrustBlocked:
		return tr("Blocked")
	case p.Via != "":
		return viaStatus(p, p.Trust)
	case p.State == engine.Connected:
		return tr("Connected")
	case p.State == engine.Connecting:
		return tr("Waiting for reply…")
	case p.State == engine.Reconnecting:
		return tr("Reconnecting…")
	case p.Err != nil:
		return tr("Unreachable")
	case p.Trust == engine.TrustVerified || p.Trust == engine.TrustSeen || p.Confirmed:
		return tr("Nearby")
	}
	return tr("Checking…")
}

// kindName returns the name of the device kind that a peer announces, or "" for an unknown kind.
func kindName(kind string) string {
	switch kind {
	case "linux":
		return tr("Linux PC")
	case "windows":
		return tr("Windows PC")
	case "mac":
		return tr("Mac")
	case "phone":
		return tr("Phone")
	case "tablet":
		return tr("Tablet")
	case "server":
		return tr("Server")
	}
	return ""
}

// visibleTo returns who can see this device, or "" if everyone can.
func visibleTo(s engine.Self) string {
	out := ""
	switch s.Visible {
	case engine.VisibleToAll:
		if !s.VisibleTo.IsZero() {
			out = tr("visible")
		}
	case engine.VisibleToKnown:
		out = tr("visible to known devices")
	case engine.VisibleToNobody:
		out = tr("not visible")
	}
	if !s.VisibleTo.IsZero() {
		out += " " + tr("until {{.Time}}", "Time", s.VisibleTo.Local().Format("15:04"))
	}
	return out
}

func firstUpper(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[0])) + string(r[1:])
}
