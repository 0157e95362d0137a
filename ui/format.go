package ui

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"multipeer/engine"
)

// This file turns the engine's values into words for people. Each error names the cause and what to do.

// size writes bytes in steps of 1000, as disks and networks are sold.
func size(n int64) string {
	units := []string{"bytes", "kB", "MB", "GB", "TB", "PB"}
	f, i := float64(n), 0
	for f >= 999.5 && i < len(units)-1 {
		f, i = f/1000, i+1
	}
	switch {
	case n == 1:
		return "1 byte"
	case i == 0 || f >= 99.95:
		return fmt.Sprintf("%.0f %s", f, units[i])
	}
	return fmt.Sprintf("%.1f %s", f, units[i])
}

func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// left writes a duration as people wait for it.
func left(d time.Duration) string {
	switch s := int64(d.Round(time.Second) / time.Second); {
	case s < 1:
		return "a moment left"
	case s < 60:
		return fmt.Sprintf("%d s left", s)
	case s < 3600:
		return fmt.Sprintf("%d min left", (s+59)/60)
	default:
		return fmt.Sprintf("%d h %d min left", s/3600, s%3600/60)
	}
}

// title names what a transfer holds.
func title(t engine.Transfer) string {
	if len(t.Names) == 0 {
		return "Files"
	}
	name := t.Names[0]
	if t.Items > 1 {
		name += " and " + plural(t.Items-1, "other", "others")
	}
	return name
}

// content tells how much a transfer holds.
func content(t engine.Transfer) string {
	var parts []string
	if t.Files != 1 || t.Folders > 0 {
		parts = append(parts, plural(t.Files, "file", "files"))
	}
	parts = append(parts, size(t.Bytes))
	s := strings.Join(parts, ", ")
	if t.Counting {
		s += ", still counting"
	}
	return s
}

// status is the line under a transfer's title.
func status(t engine.Transfer) string {
	switch t.State {
	case engine.Queued:
		switch {
		case t.Err != nil:
			return progressOf(t) + " · goes on when " + t.PeerName + " is back"
		case t.Incoming:
			return content(t) + " · waiting for " + t.PeerName + " to begin"
		}
		return content(t) + " · waits for its turn"
	case engine.Stalled:
		return progressOf(t) + " · " + stalled(t)
	case engine.Paused:
		return progressOf(t) + " · paused"
	case engine.Offered:
		if t.Incoming {
			return content(t) + " · goes to your downloads"
		}
		return content(t) + " · waiting for " + t.PeerName + " to accept"
	case engine.Moving:
		s := progressOf(t)
		if t.Files > 1 {
			s += fmt.Sprintf(" · %d of %d files", t.DoneFiles, t.Files)
		}
		if t.Rate > 0 {
			s += " · " + size(int64(t.Rate)) + "/s"
		}
		if t.Left > 0 {
			s += " · " + left(t.Left)
		}
		return s
	case engine.Finishing:
		return size(t.Bytes) + " · making it durable on disk"
	case engine.Delivered:
		s := "Delivered · " + content(t)
		if t.LeftOut > 0 {
			s += " · " + plural(t.LeftOut, "entry", "entries") + " left out"
		}
		if t.Renamed > 0 && t.Incoming {
			s += " · " + plural(t.Renamed, "name", "names") + " changed"
		}
		return s
	case engine.Declined:
		if t.Incoming {
			return "You declined · " + content(t)
		}
		return t.PeerName + " declined · " + content(t)
	case engine.Cancelled:
		return "Cancelled · nothing was kept"
	}
	return fmt.Sprintf("%s of %s", size(t.Done), content(t)) // the reason stands below
}

func progressOf(t engine.Transfer) string { return size(t.Done) + " of " + size(t.Bytes) }

// stalled says why nothing moves, and that it goes on by itself.
func stalled(t engine.Transfer) string {
	switch {
	case errors.Is(t.Err, engine.ErrDiskFull) && t.Incoming:
		return "this disk is full; goes on when there is room"
	case errors.Is(t.Err, engine.ErrDiskFull):
		return t.PeerName + "'s disk is full; goes on when there is room"
	case t.Err != nil:
		return "connection lost; goes on by itself"
	}
	return "nothing moves; goes on by itself"
}

// reason turns an error into a sentence. here tells that this device is the one that received.
func reason(err error, peer string, here bool) string {
	whose := peer + "'s"
	if here {
		whose = "this device's"
	}
	switch {
	case err == nil:
		return ""
	case errors.Is(err, engine.ErrNoRoom):
		return "Failed: " + whose + " disk has no room for all of it. Free some space, then send again."
	case errors.Is(err, engine.ErrDiskFull):
		return "Failed: " + whose + " disk is full. Free some space, then send again."
	case errors.Is(err, engine.ErrDenied):
		return "Failed: " + whose + " folder cannot be written to. Choose another folder."
	case errors.Is(err, engine.ErrBadName):
		return "Refused: a file name in it would leave the folder. Nothing was kept."
	case errors.Is(err, engine.ErrDigest):
		return "Failed: the content arrived damaged. Send it again."
	case errors.Is(err, engine.ErrChanged):
		return "Failed: the file changed while it was sent. Send it again."
	case errors.Is(err, engine.ErrUnreadable):
		return "Failed: the file cannot be read. Check its permissions."
	case errors.Is(err, engine.ErrSpecial):
		return "Failed: links and devices are not sent."
	case errors.Is(err, engine.ErrTooMuch):
		return "Stopped: more came than was offered. Nothing was kept."
	case errors.Is(err, engine.ErrGone):
		return "Failed: " + whose + " folder is gone, or what had arrived in it. Send it again."
	case errors.Is(err, engine.ErrStalled):
		return "Failed: nothing moved for a minute. Check the network on both sides, then send again."
	case errors.Is(err, engine.ErrDeclined):
		return peer + " declined."
	case errors.Is(err, engine.ErrBye):
		return "Failed: " + peer + " has left. Send again when it is back."
	case errors.Is(err, engine.ErrBlocked):
		return "This key is blocked, here or on " + peer + "."
	case errors.Is(err, engine.ErrRefused):
		return peer + " does not let this device in. Ask its owner whether it is blocked there."
	case errors.Is(err, engine.ErrIdentity):
		return "Another device answers in place of " + peer + ". Nothing was sent."
	case errors.Is(err, engine.ErrVersion):
		return peer + " runs another version of Multipeer. Update the older one."
	case errors.Is(err, engine.ErrBusy):
		return peer + " has too much waiting. Try again in a moment."
	case errors.Is(err, engine.ErrTooLarge):
		return "This message is too long. Send it as a file."
	case errors.Is(err, engine.ErrNobody):
		return "Nobody is connected. Choose a device on the left and connect."
	case errors.Is(err, engine.ErrNoPeer):
		return peer + " is not nearby any more."
	case errors.Is(err, engine.ErrUnavailable):
		return peer + "'s program takes no messages at the moment."
	case errors.Is(err, engine.ErrTimeout):
		return peer + " did not answer. Is it awake, and does its firewall let Multipeer through?"
	case errors.Is(err, engine.ErrLost), errors.Is(err, engine.ErrNotConnected):
		return "The connection to " + peer + " was lost. Try again when it is back."
	case errors.Is(err, engine.ErrInvalid):
		return firstUpper(engine.CleanLine(err.Error())) + "."
	}
	return "Failed: " + engine.CleanLine(err.Error())
}

// problem says what keeps peers from being found.
func problem(err error) string {
	if errors.Is(err, engine.ErrNoNetwork) {
		return "No network. Join a Wi-Fi or plug in a cable; devices show up by themselves."
	}
	return "Finding devices: " + engine.CleanLine(err.Error())
}

func firstUpper(s string) string {
	if s == "" {
		return s
	}
	r := []rune(s)
	return strings.ToUpper(string(r[0])) + string(r[1:])
}

// peerStatus is the line under a peer's name.
func peerStatus(p engine.Peer) string {
	s := peerState(p)
	if p.Trust == engine.TrustVerified {
		s += " · verified"
	}
	return s
}

func peerState(p engine.Peer) string {
	switch {
	case p.Trust == engine.TrustBlocked:
		return "Blocked"
	case p.State == engine.Connected:
		return "Connected"
	case p.State == engine.Connecting:
		return "Waiting for an answer"
	case p.State == engine.Reconnecting:
		return "Reconnecting…"
	case p.Err != nil:
		return "Cannot be reached"
	case p.Confirmed:
		return "Nearby"
	}
	return "Found"
}
