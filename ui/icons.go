package ui

import (
	"fyne.io/fyne/v2"
	"fyne.io/fyne/v2/theme"

	"multipeer/icons"
)

// Our own icons, drawn with one stroke width and coloured by the theme.
var (
	iconFile     = theme.NewPrimaryThemedResource(fyne.NewStaticResource("file.svg", icons.File))
	iconFolder   = theme.NewPrimaryThemedResource(fyne.NewStaticResource("folder.svg", icons.Folder))
	iconEveryone = theme.NewThemedResource(fyne.NewStaticResource("everyone.svg", icons.Everyone))
	iconAttach   = theme.NewThemedResource(fyne.NewStaticResource("attach.svg", icons.Attach))
	iconEdit     = theme.NewThemedResource(fyne.NewStaticResource("edit.svg", icons.Edit))
	iconRadar    = theme.NewPrimaryThemedResource(fyne.NewStaticResource("radar.svg", icons.Radar))
	iconSend     = theme.NewThemedResource(fyne.NewStaticResource("send.svg", icons.Send))
)
