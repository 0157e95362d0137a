package cli

import (
	"github.com/spf13/cobra"
)

// examples are shown in the help of each command, by its path.
var examples = map[string]string{
	"multipeer-cli": `  multipeer-cli receive --into inbox            on one device
  multipeer-cli send --to Ben photos            on the other`,
	"multipeer-cli api": `  multipeer-cli api < commands.jsonl`,
	"multipeer-cli auto": `  multipeer-cli auto list
  multipeer-cli auto Ben --up-to 2GB --into /srv/inbox
  multipeer-cli auto Ben --off`,
	"multipeer-cli chat": `  multipeer-cli chat                            with everyone nearby
  date | multipeer-cli chat --to Ben`,
	"multipeer-cli completion":            `  multipeer-cli completion bash > /etc/bash_completion.d/multipeer-cli`,
	"multipeer-cli completion bash":       `  multipeer-cli completion bash > /etc/bash_completion.d/multipeer-cli`,
	"multipeer-cli completion fish":       `  multipeer-cli completion fish > ~/.config/fish/completions/multipeer-cli.fish`,
	"multipeer-cli completion powershell": `  multipeer-cli completion powershell | Out-String | Invoke-Expression`,
	"multipeer-cli completion zsh":        `  multipeer-cli completion zsh > "${fpath[1]}/_multipeer-cli"`,
	"multipeer-cli doctor": `  multipeer-cli doctor
  multipeer-cli doctor --to 192.168.1.20        why that address does not answer`,
	"multipeer-cli history": `  multipeer-cli history --with Ben --search photos -n 20`,
	"multipeer-cli id":      `  multipeer-cli --json id`,
	"multipeer-cli outbox": `  multipeer-cli outbox
  multipeer-cli outbox --deliver                until everything has arrived`,
	"multipeer-cli pair":         `  multipeer-cli pair --to Ben`,
	"multipeer-cli pair confirm": `  multipeer-cli pair confirm                    on the device that is asked`,
	"multipeer-cli pair link":    `  multipeer-cli pair link                       then on the other: multipeer-cli pair --to -`,
	"multipeer-cli peers": `  multipeer-cli peers
  multipeer-cli peers --search                  where multicast does not work`,
	"multipeer-cli ping": `  multipeer-cli ping --to Ben -n 100`,
	"multipeer-cli receive": `  multipeer-cli receive --into inbox
  multipeer-cli receive --accept verified --once --existing skip`,
	"multipeer-cli serve": `  multipeer-cli serve --into /srv/inbox --accept verified
  multipeer-cli serve --stop`,
	"multipeer-cli trust": `  multipeer-cli trust list
  multipeer-cli trust Ben blocked
  multipeer-cli trust 2mjitk54-4rkkqx3ea-5w4bt3oi5-7bqqk6nxc-4kyqhjpda-qhz2ph4la-ptvnxqbla verified`,
}

// addExamples adds the examples to a command and its subcommands.
func addExamples(c *cobra.Command) {
	if e := examples[c.CommandPath()]; e != "" && c.Example == "" {
		c.Example = e
	}
	for _, sub := range c.Commands() {
		addExamples(sub)
	}
}
