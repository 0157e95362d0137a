package ui

import (
	"image/color"
	"runtime"
	"strconv"

	"fyne.io/fyne/v2"

	"multipeer/engine"
)

// The window tells others two things in its discovery info: "kind", one of the words of kindName, and "color", a number
// from 1 to as many as there are avatarColors. What others tell is looked up and never shown as it is.

// describeSelf tells others what this device is and which colour it has.
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
	u.say(reason(u.e.SetInfo(info), "", true))
}

// colorOf is the colour of a peer: its own choice, or that of its key.
func (u *UI) colorOf(id engine.PeerID) color.NRGBA {
	n, err := strconv.Atoi(u.peers[id].Info["color"])
	if err != nil || n < 1 || n > len(avatarColors) {
		n = 0
	}
	return colorOf(id, n)
}
