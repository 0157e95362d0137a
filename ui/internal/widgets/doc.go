// Package widgets holds the widgets, layouts, colours and icons of the window. They know neither the window nor the
// engine: what they show and what they run comes as values, strings and functions.
//
// Its name is in the plural, so that files can use it together with Fyne's package widget.
package widgets
