//go:build linux && !race

package hostile

const raceFactor = 1
