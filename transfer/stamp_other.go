//go:build !linux && !darwin

package transfer

import "io/fs"

func stampOf(info fs.FileInfo) uint64 { return stamp(info) }

func isSparse(fs.FileInfo) bool { return false }

func onDisk(info fs.FileInfo) int64 { return info.Size() }
