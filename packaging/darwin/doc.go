// Package darwin holds what packages for macOS and iOS need besides Fyne's tool.
package darwin
