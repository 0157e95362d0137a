// Package darwin holds what the macOS and iOS packages need in addition to Fyne's tool.
package darwin
