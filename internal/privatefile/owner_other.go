//go:build !unix

package privatefile

import "os"

func ownerOf(os.FileInfo) (name string, own bool) { return "", true }
