// Package window holds the test that drives the real window: two programs under an X server of their own, with a
// mouse, a keyboard and real drag-and-drop.
package window
