// Package darwin holds what packages for macOS and iOS need in addition to Fyne's tool.
package darwin
