package ui

import (
	"errors"

	"multipeer/engine"
)

// This file turns errors into sentences. Each names the cause and what to do.

// stalled says why nothing moves, and that it goes on by itself.
func stalled(t engine.Transfer) string {
	switch {
	case errors.Is(t.Err, engine.ErrDiskFull) && t.Incoming:
		return tr("this disk is full; goes on when there is room")
	case errors.Is(t.Err, engine.ErrDiskFull):
		return tr("{{.Name}}'s disk is full; goes on when there is room", "Name", t.PeerName)
	case t.Err != nil:
		return tr("connection lost; goes on by itself")
	}
	return tr("nothing moves; goes on by itself")
}

// failure says why a transfer ended. here tells that this device is the one that receives.
func failure(err error, peer string, here bool) string {
	name := []any{"Name", peer}
	either := func(mine, theirs string) string {
		if here {
			return mine
		}
		return theirs
	}
	switch {
	case errors.Is(err, engine.ErrNoRoom):
		return either(tr("This device's disk has no room for all of it. Free some space, then have it sent again."),
			tr("{{.Name}}'s disk has no room for all of it. Free some space there, then send again.", name...))
	case errors.Is(err, engine.ErrDiskFull):
		return either(tr("This device's disk is full. Free some space, then have it sent again."),
			tr("{{.Name}}'s disk is full. Free some space there, then send again.", name...))
	case errors.Is(err, engine.ErrDenied):
		return either(tr("The folder cannot be written to. Choose another folder."),
			tr("{{.Name}}'s folder cannot be written to. Choose another folder there.", name...))
	case errors.Is(err, engine.ErrBadName):
		return tr("Refused: a file name in it would leave the folder. Nothing was kept.")
	case errors.Is(err, engine.ErrDigest):
		return tr("The content arrived damaged. Send it again.")
	case errors.Is(err, engine.ErrChanged):
		return tr("The file changed while it was sent. Send it again.")
	case errors.Is(err, engine.ErrUnreadable):
		return tr("The file cannot be read. Check its permissions.")
	case errors.Is(err, engine.ErrSpecial):
		return tr("Links and devices are not sent.")
	case errors.Is(err, engine.ErrTooMuch):
		return tr("Stopped: more came than was offered. Nothing was kept.")
	case errors.Is(err, engine.ErrGone):
		return tr("The folder is gone, or what had arrived in it. Send it again.")
	case errors.Is(err, engine.ErrStalled):
		return tr("Nothing moved for a minute. Check the network on both sides, then send again.")
	}
	return ""
}

// reason turns an error into a sentence. here tells that this device is the one that received.
func reason(err error, peer string, here bool) string {
	if err == nil {
		return ""
	}
	if s := failure(err, peer, here); s != "" {
		return s
	}
	name := []any{"Name", peer}
	switch {
	case errors.Is(err, engine.ErrDeclined):
		return tr("{{.Name}} declined.", name...)
	case errors.Is(err, engine.ErrBye):
		return tr("{{.Name}} has left. Send again when it is back.", name...)
	case errors.Is(err, engine.ErrBlocked):
		return tr("This key is blocked, here or on {{.Name}}.", name...)
	case errors.Is(err, engine.ErrRefused):
		return tr("{{.Name}} does not let this device in. Ask its owner whether it is blocked there.", name...)
	case errors.Is(err, engine.ErrIdentity):
		return tr("Another device answers in place of {{.Name}}. Nothing was sent.", name...)
	case errors.Is(err, engine.ErrVersion):
		return tr("{{.Name}} runs another version of Multipeer. Update the older one.", name...)
	case errors.Is(err, engine.ErrBusy):
		return tr("{{.Name}} has too much waiting. Try again in a moment.", name...)
	case errors.Is(err, engine.ErrTooLarge):
		return tr("This message is too long. Send it as a file.")
	case errors.Is(err, engine.ErrNobody):
		return tr("Nobody is connected. Choose a device in the list and connect.")
	case errors.Is(err, engine.ErrNoPeer):
		return tr("{{.Name}} is not nearby any more.", name...)
	case errors.Is(err, engine.ErrUnavailable):
		return tr("{{.Name}}'s program takes no messages at the moment.", name...)
	case errors.Is(err, engine.ErrTimeout):
		return tr("{{.Name}} did not answer. Is it awake, and does its firewall let Multipeer through?", name...)
	case errors.Is(err, engine.ErrLost), errors.Is(err, engine.ErrNotConnected):
		return tr("The connection to {{.Name}} was lost. Try again when it is back.", name...)
	case errors.Is(err, engine.ErrAnswered):
		return tr("That was answered or withdrawn before.")
	case errors.Is(err, engine.ErrInvalid):
		return firstUpper(engine.CleanLine(err.Error())) + "."
	}
	return tr("It did not work: {{.Why}}", "Why", engine.CleanLine(err.Error()))
}

// problem says what keeps peers from being found.
func problem(err error) string {
	if errors.Is(err, engine.ErrNoNetwork) {
		return tr("No network. Join a Wi-Fi or plug in a cable; devices show up by themselves.")
	}
	return tr("Devices are not found: {{.Why}}.", "Why", engine.CleanLine(err.Error()))
}
