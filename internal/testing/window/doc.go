// Package window holds the test that drives the real window: two programs on their own X server, with a mouse, a
// keyboard and real drag-and-drop.
package window
