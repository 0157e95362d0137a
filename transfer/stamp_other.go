//go:build !linux && !darwin

package transfer

import (
	"io/fs"
	"os"
	"time"
)

func stampOf(info fs.FileInfo) uint64 { return stamp(info) }

// changed is unknown: a program can set every time that is at hand.
func changed(fs.FileInfo) (at time.Time, known bool) { return time.Time{}, false }

func deviceOf(fs.FileInfo) (device uint64, known bool) { return 0, false }

// folderMark distinguishes a folder from others; empty if that is not possible.
func folderMark(fs.FileInfo) string { return "" }

func keepsChangeTimes(*os.File) bool { return false }

func isSparse(fs.FileInfo) bool { return false }

func onDisk(info fs.FileInfo) int64 { return info.Size() }
