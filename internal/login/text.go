package login

import (
	"encoding/xml"
	"strings"
)

// What the files of the systems say. All of it is built on every system, so that its tests run on every system.

// desktopEntry is a Desktop Application Autostart entry (freedesktop.org, Desktop Entry Specification 1.5, "The Exec key").
func desktopEntry(command []string) string {
	// Quoted for Exec first, then the value as a string once more.
	quote := strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", "$", `\\$`, "%", "%%")
	return "[Desktop Entry]\nType=Application\nName=Multipeer\nExec=" + each(command, func(s string) string { return `"` + quote.Replace(s) + `"` }) +
		"\nIcon=multipeer\nX-GNOME-Autostart-enabled=true\n"
}

// unit is a user unit of systemd (systemd.service(5)), as the one of the package but for the command.
func unit(command []string) string {
	// A colon in front says that no $ begins the name of a variable.
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "\n", `\n`, "\t", `\t`)
	return `[Unit]
Description=Multipeer, receiving without a window
After=network-online.target

[Service]
ExecStart=:` + each(command, func(s string) string { return `"` + quote.Replace(s) + `"` }) + `
Restart=on-failure
RestartSec=5
NoNewPrivileges=yes

[Install]
WantedBy=default.target
`
}

// launchAgent is a property list of launchd (launchd.plist(5)).
func launchAgent(label string, command []string, service bool) (string, error) {
	var b strings.Builder
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0">
<dict>
	<key>Label</key>
	<string>` + label + `</string>
	<key>ProgramArguments</key>
	<array>
`)
	for _, s := range command {
		b.WriteString("\t\t<string>")
		if err := xml.EscapeText(&b, []byte(s)); err != nil {
			return "", err
		}
		b.WriteString("</string>\n")
	}
	b.WriteString("\t</array>\n\t<key>RunAtLoad</key>\n\t<true/>\n")
	if service {
		b.WriteString("\t<key>KeepAlive</key>\n\t<dict>\n\t\t<key>SuccessfulExit</key>\n\t\t<false/>\n\t</dict>\n\t<key>ProcessType</key>\n\t<string>Background</string>\n")
	}
	b.WriteString("</dict>\n</plist>\n")
	return b.String(), nil
}

// each joins what f makes of the words.
func each(words []string, f func(string) string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = f(w)
	}
	return strings.Join(out, " ")
}
