package ui

import (
	"sync"

	"multipeer/transfer"
)

// folderPlaces records where the folders for received files were when the user chose them, or when they were first used.
// Its methods may be called concurrently.
type folderPlaces struct {
	mu sync.Mutex
	at map[string]transfer.Place
}

// keep records the place of a folder that the user chose in an earlier run; empty means unknown.
func (f *folderPlaces) keep(dir string, place transfer.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.at == nil {
		f.at = map[string]transfer.Place{}
	}
	if place != "" {
		f.at[dir] = place
	}
}

// choose records where a folder is that the user has just chosen, whatever was there before.
func (f *folderPlaces) choose(dir string) transfer.Place {
	found, err := transfer.PlaceOf(dir)
	if err != nil {
		return ""
	}
	f.keep(dir, found)
	return found
}

// of returns the place of a folder. It reads the disk when it is called for the first time. The place of a folder that
// does not exist yet is empty.
func (f *folderPlaces) of(dir string) transfer.Place {
	f.mu.Lock()
	place := f.at[dir]
	f.mu.Unlock()
	if place != "" {
		return place
	}
	return f.choose(dir)
}
