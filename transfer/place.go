package transfer

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A receiving folder may not lie behind a link of another user, who could direct what arrives to a private folder of this
// user.

// Place says where a receiving folder was when it was chosen, so that later files do not go elsewhere: to the mount point
// of a disk that is not connected, or through a link that another user has put in its path. It is opaque text, and stays
// valid across restarts of the system and reconnections of the disk. The zero value allows any folder.
type Place string

// PlaceOf returns the place of an existing folder.
func PlaceOf(dir string) (Place, error) {
	found, err := findPlace(dir)
	if err != nil {
		return "", fmt.Errorf("the folder %s: %w", dir, classify(err))
	}
	return found.encode(), nil
}

// place is a decoded Place.
type place struct {
	path  string // absolute, without links
	mount string // where its disk is mounted; empty if unknown
	owner string // the user ID of its owner; empty if unknown
}

func (p place) encode() Place {
	return Place(strings.Join([]string{"1", hex.EncodeToString([]byte(p.path)), hex.EncodeToString([]byte(p.mount)), p.owner}, ":"))
}

func (p Place) decode() (place, error) {
	fields := strings.Split(string(p), ":")
	if len(fields) != 4 || fields[0] != "1" {
		return place{}, fmt.Errorf("place %q: %w", string(p), errBadPlace)
	}
	folder, err := hex.DecodeString(fields[1])
	if err != nil {
		return place{}, fmt.Errorf("place %q: %w", string(p), errBadPlace)
	}
	mount, err := hex.DecodeString(fields[2])
	if err != nil {
		return place{}, fmt.Errorf("place %q: %w", string(p), errBadPlace)
	}
	return place{string(folder), string(mount), fields[3]}, nil
}

var errBadPlace = errors.New("not a result of PlaceOf")

func findPlace(dir string) (place, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return place{}, err
	}
	resolved, err := resolveLinks(abs)
	if errors.As(err, new(*foreignLink)) {
		return place{}, fmt.Errorf("%w: %w", ErrDenied, err)
	}
	if err != nil {
		return place{}, err
	}
	info, err := os.Lstat(resolved)
	if err != nil {
		return place{}, err
	}
	return place{resolved, mountOf(resolved), ownerOf(info)}, nil
}

// mountOf returns the folder at which the disk of a folder is mounted; empty if that is unknown.
func mountOf(resolved string) string {
	info, err := os.Lstat(resolved)
	if err != nil {
		return ""
	}
	device, known := deviceOf(info)
	if !known {
		return ""
	}
	for {
		parent := filepath.Dir(resolved)
		if parent == resolved {
			return resolved
		}
		info, err := os.Lstat(parent)
		if err != nil {
			return ""
		}
		if of, _ := deviceOf(info); of != device {
			return resolved
		}
		resolved = parent
	}
}

// check reports whether the folder dir, which is open as root, is at the place.
func (p Place) check(dir string, root *os.Root) error {
	if p == "" {
		return nil
	}
	want, err := p.decode()
	if err != nil {
		return err
	}
	now, err := findPlace(dir)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnmounted, err)
	}
	opened, err := root.Stat(".")
	if err != nil {
		return err
	}
	found, err := os.Lstat(now.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnmounted, err)
	}
	switch {
	case now.path != want.path || !os.SameFile(opened, found): // guard: place-path
		return fmt.Errorf("%w: %s now leads to %s", ErrUnmounted, dir, now.path)
	case now.mount != want.mount && now.mount != "" && want.mount != "": // guard: place-mount
		return fmt.Errorf("%w: the disk of %s was mounted at %s", ErrUnmounted, dir, want.mount)
	case now.owner != want.owner && now.owner != self(): // guard: place-owner
		return fmt.Errorf("%w: %s now belongs to another user", ErrUnmounted, dir)
	}
	return nil
}
