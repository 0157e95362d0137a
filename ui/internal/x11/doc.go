// Package x11 does with an X server what the window toolkit cannot: it gives files to other programs by drag and drop
// (XDND, version 5) and through the clipboard (ICCCM section 2). It uses a connection of its own beside the toolkit's.
package x11
