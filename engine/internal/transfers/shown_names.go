package transfers

import (
	"path/filepath"
	"slices"

	"multipeer/engine/internal/wire"
)

// shownName is the maximum length of a displayed name, in characters.
const shownName = 200

// clean makes offered names safe to display; in long names the middle is replaced.
func clean(names []string) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = shown(n)
	}
	return out
}

// shown makes a name or path from a peer safe to display.
func shown(name string) string {
	runes := []rune(wire.CleanLine(name))
	if len(runes) > shownName { // guard: shown-names
		half := shownName/2 - 1
		runes = slices.Concat(runes[:half], []rune("…"), runes[len(runes)-half:])
	}
	return string(runes)
}

func inDir(dir string, names []string) []string {
	var out []string
	for _, n := range names {
		out = append(out, filepath.Join(dir, n))
	}
	return out
}
