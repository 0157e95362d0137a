package ui

import (
	"errors"
	"io/fs"
	"syscall"

	"fyne.io/fyne/v2/theme"
	"fyne.io/fyne/v2/widget"

	"multipeer/bridge/localsend"
	"multipeer/engine"
	"multipeer/transfer"
	"multipeer/ui/internal/widgets"
)

// This file turns errors into sentences. Each names the cause and the remedy.

// stalled returns why a transfer is stalled, and that it will resume automatically.
func stalled(t engine.Transfer) string {
	switch {
	case errors.Is(t.Err, transfer.ErrDiskFull) && t.Incoming:
		return tr("Disk full – will resume when there's space")
	case errors.Is(t.Err, transfer.ErrDiskFull):
		return tr("{{.Name}}'s disk is full – will resume when there's space", "Name", t.PeerName)
	case errors.Is(t.Err, transfer.ErrUnmounted):
		return failure(t.Err, t.PeerName, t.Incoming)
	case errors.Is(t.Err, transfer.ErrDigest):
		return tr("sending again automatically")
	case t.Err != nil:
		return tr("Connection lost – will resume automatically")
	}
	return tr("Stalled – will resume automatically")
}

// failure returns why a transfer failed. here is true if this device is the receiver.
func failure(err error, peer string, here bool) string {
	name := []any{"Name", peer}
	either := func(mine, theirs string) string {
		if here {
			return mine
		}
		return theirs
	}
	switch {
	case errors.Is(err, localsend.ErrPIN):
		return tr("{{.Name}} requires a PIN.", name...)
	case errors.Is(err, transfer.ErrNoSpace):
		return either(tr("Not enough space on this device. Free some, then ask the sender to try again."),
			tr("Not enough space on {{.Name}}. Free some there, then send again.", name...))
	case errors.Is(err, transfer.ErrDiskFull):
		return either(tr("This device's disk is full. Free some space, then ask the sender to try again."),
			tr("{{.Name}}'s disk is full. Free some space there, then send again.", name...))
	case errors.Is(err, transfer.ErrUnmounted):
		return either(tr("The folder for these files is no longer there. Connect its disk, or remove what has taken its place."),
			tr("{{.Name}} can't find the folder for these files. Connect its disk there to continue.", name...))
	case errors.Is(err, transfer.ErrReadOnly):
		return either(tr("This device's disk is read-only. Choose another folder."),
			tr("{{.Name}}'s disk is read-only. Choose another folder there.", name...))
	case errors.Is(err, transfer.ErrFileTooLarge):
		return either(tr("The file is larger than this device's disk allows. Choose a folder on another disk."),
			tr("The file is larger than {{.Name}}'s disk allows. Choose a folder on another disk there.", name...))
	case errors.Is(err, transfer.ErrNameRefused):
		return either(tr("This device's disk does not accept the file name. Ask the sender to rename the file and send it again."),
			tr("{{.Name}}'s disk does not accept the file name. Rename the file, then send it again.", name...))
	case errors.Is(err, transfer.ErrDisk):
		return either(tr("This device's disk reported an error. Check the disk, or choose another folder."),
			tr("{{.Name}}'s disk reported an error. Check the disk there, or choose another folder.", name...))
	case errors.Is(err, transfer.ErrVanished):
		return tr("Moved or removed before it was sent. Send it again.")
	case errors.Is(err, transfer.ErrUnsized):
		return tr("The system does not report the size of this file. Copy it to a disk, then send the copy.")
	case errors.Is(err, transfer.ErrResources):
		return either(tr("Too many files are open on this device. Close some programs."),
			tr("Too many files are open on {{.Name}}. Close some programs there.", name...))
	case errors.Is(err, transfer.ErrPrivate):
		return tr("Multipeer's private key and incomplete files are never sent.")
	case errors.Is(err, transfer.ErrTooLong):
		return tr("The path is too long or too deep. Use shorter names or fewer nested folders.")
	case errors.Is(err, transfer.ErrTooMany):
		return tr("Too many files for one transfer. Send fewer at a time.")
	case errors.Is(err, transfer.ErrTotal):
		return tr("Too large for one transfer. Send fewer files at a time.")
	case errors.Is(err, transfer.ErrUnsynced):
		return either(tr("This device's disk did not confirm that the file was written. Check the disk, then try again."),
			tr("{{.Name}}'s disk did not confirm that the file was written. Check the disk there, then send again.", name...))
	case errors.Is(err, transfer.ErrProtocol):
		return tr("{{.Name}} sent data that this version of Multipeer can't use. Update Multipeer on both devices.", name...)
	case errors.Is(err, transfer.ErrNoLinks):
		return tr("This disk does not support symbolic links.")
	case errors.Is(err, transfer.ErrDenied):
		return either(tr("Can't save to this folder. Choose another one."),
			tr("{{.Name}} can't save to its folder. Choose a different folder there.", name...))
	case errors.Is(err, transfer.ErrBadName):
		return tr("Refused for safety: a file would have been saved outside the folder. Nothing was saved.")
	case errors.Is(err, transfer.ErrDigest):
		return tr("The file arrived damaged. Send it again.")
	case errors.Is(err, transfer.ErrChanged):
		return tr("The file changed while it was being sent. Send it again.")
	case errors.Is(err, transfer.ErrUnreadable):
		return tr("The file cannot be read. Check its permissions.")
	case errors.Is(err, transfer.ErrSpecial):
		return tr("Symbolic links and device files can't be sent.")
	case errors.Is(err, transfer.ErrTooMuch):
		return tr("Stopped: the sender sent more than it announced. Nothing was saved.")
	case errors.Is(err, transfer.ErrGone):
		return tr("The destination folder, or the data already received, is gone. Send the files again.")
	case errors.Is(err, transfer.ErrStalled):
		return tr("No data for a minute. Check the network on both devices, then send again.")
	}
	return ""
}

// unkept returns which attribute of an entry could not be preserved.
func unkept(err error) string {
	switch {
	case errors.Is(err, transfer.ErrTimes):
		return tr("modification time not kept")
	case errors.Is(err, transfer.ErrExec):
		return tr("not made executable")
	case errors.Is(err, transfer.ErrGrew):
		return tr("grew while it was being sent; only its first part arrived")
	case errors.Is(err, transfer.ErrNotDurable):
		return tr("the disk does not confirm that the file would survive a power cut")
	}
	return engine.CleanLine(err.Error())
}

// reason turns an error into a sentence. here is true if this device is the receiver.
func reason(err error, peer string, here bool) string {
	if err == nil {
		return ""
	}
	if s := failure(err, peer, here); s != "" {
		return s
	}
	if s := sessionError(err, peer, here); s != "" {
		return s
	}
	return tr("Something went wrong. Try again.")
}

// sessionError returns the sentence for an error of a session, the profile or user input, or "" if there is none.
func sessionError(err error, peer string, here bool) string {
	name := []any{"Name", peer}
	either := func(mine, theirs string) string {
		if here {
			return mine
		}
		return theirs
	}
	switch {
	case errors.Is(err, engine.ErrDeclined):
		return tr("{{.Name}} declined.", name...)
	case errors.Is(err, engine.ErrBye):
		return either(tr("{{.Name}} went offline. When it's back, ask the sender to send again.", name...), tr("{{.Name}} went offline. Send again when it's back.", name...))
	case errors.Is(err, engine.ErrBlocked):
		return tr("Blocked, here or on {{.Name}}.", name...)
	case errors.Is(err, engine.ErrRefused):
		return tr("{{.Name}} refused the connection. This device may be blocked there.", name...)
	case errors.Is(err, engine.ErrIdentity):
		return tr("A different device answered as {{.Name}}, so nothing was sent.", name...)
	case errors.Is(err, engine.ErrVersion):
		return tr("{{.Name}} is running a different version of Multipeer. Update the older one.", name...)
	case errors.Is(err, engine.ErrBusy):
		return tr("{{.Name}} is busy. Try again in a moment.", name...)
	case errors.Is(err, engine.ErrTooLarge):
		return tr("This message is too long. Send it as a file.")
	case errors.Is(err, engine.ErrNobody):
		return tr("No one is connected. Choose a device and connect.")
	case errors.Is(err, engine.ErrNoPeer):
		return tr("{{.Name}} is no longer nearby.", name...)
	case errors.Is(err, engine.ErrUnavailable):
		return tr("{{.Name}} can't receive messages right now.", name...)
	case errors.Is(err, engine.ErrTimeout):
		return tr("{{.Name}} didn't respond. Check that it's awake and its firewall allows Multipeer.", name...)
	case errors.Is(err, engine.ErrLost), errors.Is(err, engine.ErrNotConnected):
		return tr("The connection to {{.Name}} was lost. Try again when it is back.", name...)
	case errors.Is(err, engine.ErrAnswered):
		return tr("This request was already answered or withdrawn.")
	case errors.Is(err, engine.ErrOwnKey):
		return tr("That is this device. Enter the address of another one.")
	case errors.Is(err, engine.ErrKicked):
		return tr("{{.Name}} has disconnected this device. Ask the owner of {{.Name}} to connect again.", name...)
	case errors.Is(err, engine.ErrCancelled):
		return tr("Cancelled.")
	case errors.Is(err, engine.ErrMismatch):
		return tr("The codes did not match, so nothing was verified. Try again.")
	case errors.Is(err, engine.ErrState):
		return tr("This transfer has already ended.")
	case errors.Is(err, engine.ErrClosed):
		return tr("Multipeer is closing. Start it again.")
	case errors.Is(err, engine.ErrInUse):
		return tr("Another copy of Multipeer is using these settings. Quit it, then try again.")
	case errors.Is(err, engine.ErrPermissions):
		return tr("This device's settings folder can't be used. Check its permissions.")
	case errors.Is(err, engine.ErrCorrupt):
		return tr("This device's settings are damaged. Restore them from a backup.")
	case errors.Is(err, fs.ErrPermission):
		return tr("Access was denied. Check the permissions.")
	case errors.Is(err, fs.ErrNotExist):
		return tr("It was moved or deleted.")
	case errors.Is(err, engine.ErrInvalid):
		return tr("This input is not valid. Check it and try again.")
	case errors.Is(err, engine.ErrNoNetwork), offline(err):
		return tr("This device is offline. Connect it to a network, then try again.")
	}
	return ""
}

// offline reports whether a system error means that there is no network.
func offline(err error) bool {
	var number syscall.Errno
	if !errors.As(err, &number) {
		return false
	}
	switch number {
	case syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.EADDRNOTAVAIL:
		return true
	}
	return false
}

// details returns the text of an error that has no sentence, or "".
func details(err error, peer string, here bool) string {
	if err == nil || failure(err, peer, here) != "" || sessionError(err, peer, here) != "" {
		return ""
	}
	return engine.CleanText(err.Error())
}

// fail shows an error as a toast; it ignores nil.
func (u *UI) fail(err error, peer string, here bool) {
	if err == nil {
		return
	}
	text, more := reason(err, peer, here), details(err, peer, here)
	u.trace("toast %q %q", text, more)
	if more == "" {
		u.toast.Show(text)
		return
	}
	u.toast.ShowMore(text, tr("Details"), func() { u.dialogs.details(more) })
}

// details shows the text of an error so that the user can copy it.
func (ds *dialogs) details(text string) {
	u := ds.u
	var m *widgets.Modal
	body := widgets.NewParagraph(widgets.Shortened(text, 1000), widgets.SizeBody, theme.ColorNameForeground)
	m = u.dialogs.modal(tr("Details"), body, 480,
		widgets.NewButton(tr("Copy"), widget.MediumImportance, func() { u.copyText(text) }),
		widgets.NewButton(tr("Close"), widget.HighImportance, func() { m.Hide() }))
	m.Show()
}

// problem returns why the engine cannot find peers.
func problem(err error) string {
	if errors.Is(err, engine.ErrNoNetwork) {
		return tr("No network. Connect to Wi-Fi or plug in a cable, and devices will appear here.")
	}
	return joined(tr("Can't look for devices."), reason(err, "", true))
}
