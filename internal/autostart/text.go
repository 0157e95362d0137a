package autostart

import (
	"encoding/xml"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The content of each system's files. It is compiled on every system, so that its tests run on every system.

// oneLine rejects a command that these files cannot contain: for systemd and desktops, some control characters end a
// line, so that the rest would become a separate line; XML allows no control characters except white space.
func oneLine(command []string) error {
	for _, s := range command {
		if !utf8.ValidString(s) {
			return fmt.Errorf("%q is not UTF-8, so the system cannot start it at login; choose another path", s)
		}
		if i := strings.IndexFunc(s, breaksLine); i >= 0 {
			return fmt.Errorf("%q contains the control character %U, so the system cannot start it at login; choose another path", s, []rune(s[i:])[0])
		}
	}
	return nil
}

// unitProgram rejects a program path that systemd cannot start, however it is quoted.
func unitProgram(path string) error {
	if i := strings.IndexAny(path, `"'\`); i >= 0 {
		return fmt.Errorf("systemd cannot start a program with %q in its path: %s; move it elsewhere", path[i], path)
	}
	return nil
}

func breaksLine(r rune) bool { return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' }

// desktopEntry returns a Desktop Application Autostart entry (freedesktop.org, Desktop Entry Specification 1.5, "The
// Exec key").
func desktopEntry(command []string) string {
	// Quoted for Exec first, and then again as a string value.
	quote := strings.NewReplacer(`\`, `\\\\`, `"`, `\\"`, "`", "\\\\`", "$", `\\$`, "%", "%%")
	return "[Desktop Entry]\nType=Application\nName=Multipeer\nExec=" + each(command, func(s string) string { return `"` + quote.Replace(s) + `"` }) +
		"\nIcon=multipeer\nX-GNOME-Autostart-enabled=true\n"
}

// unit returns a systemd user unit (systemd.service(5)), which is the same as the package's except for the command.
func unit(command []string) string {
	// The leading colon disables the expansion of $ variables.
	quote := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%")
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

// launchAgent returns a property list of launchd (launchd.plist(5)).
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

// each applies f to the words and joins the results.
func each(words []string, f func(string) string) string {
	out := make([]string, len(words))
	for i, w := range words {
		out[i] = f(w)
	}
	return strings.Join(out, " ")
}
