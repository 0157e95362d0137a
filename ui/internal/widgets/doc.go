// Package widgets holds the widgets, layouts, colours and icons of the window. They depend on neither the window nor
// the engine: they get values, strings and functions.
//
// The package name is plural, so that files can also import Fyne's package widget.
package widgets
