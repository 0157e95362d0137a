package ui

import (
	"image/color"
	"runtime"
	"strconv"

	"fyne.io/fyne/v2"

	"multipeer/engine"
	"multipeer/ui/internal/widgets"
)

// The window announces two values in its discovery info: "kind", one of the words of kindName, and "color", a number
// from 1 to the length of widgets.AvatarColors. Values that other devices announce are only looked up, never shown
// directly.

// describeSelf announces what kind of device this is and which colour it has.
func (u *UI) describeSelf() {
	kind := map[string]string{"linux": "linux", "windows": "windows", "darwin": "mac", "android": "phone", "ios": "phone"}[runtime.GOOS]
	if fyne.CurrentDevice().IsMobile() {
		kind = "phone"
	}
	info := map[string]string{}
	for k, v := range u.self.Info {
		info[k] = v
	}
	info["kind"] = kind
	delete(info, "color")
	if c := u.o.Settings.Colour; c > 0 {
		info["color"] = strconv.Itoa(c)
	}
	u.fail(u.e.SetInfo(info), "", true)
}

// colorOf returns the colour of a device: its owner's choice if chosen is at least 1, or the one derived from its ID if
// chosen is 0.
func colorOf(id engine.PeerID, chosen int) color.NRGBA {
	if chosen > 0 {
		return widgets.RGB(widgets.AvatarColors[(chosen-1)%len(widgets.AvatarColors)])
	}
	return widgets.RGB(widgets.AvatarColors[int(id[0])%len(widgets.AvatarColors)])
}

// colorOf returns the colour of a peer: its owner's choice, or the one derived from its ID.
func (u *UI) colorOf(id engine.PeerID) color.NRGBA {
	n, err := strconv.Atoi(u.peers[id].Info["color"])
	if err != nil || n < 1 || n > len(widgets.AvatarColors) {
		n = 0
	}
	return colorOf(id, n)
}
