//go:build linux && race

package hostile

// raceFactor is how much more memory the race detector takes.
const raceFactor = 4
