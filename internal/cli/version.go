package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is the version of all programs; FyneApp.toml has the same.
const version = "0.1.0"

// Version identifies the program, for bug reports: its version, commit, Go version and system.
func Version() string {
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = ", commit " + s.Value[:min(len(s.Value), 12)] + commit
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += ", modified"
			}
		}
	}
	return fmt.Sprintf("%s%s, %s, %s/%s", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
