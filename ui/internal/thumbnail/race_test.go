//go:build race

package thumbnail

const raceEnabled = true
