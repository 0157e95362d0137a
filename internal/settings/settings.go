// Package settings stores a user's choices for a window: one JSON file in the profile. It is replaced atomically, so
// that a power cut leaves either the old or the new file.
package settings

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"multipeer/internal/boltfile"
	"multipeer/internal/rawpath"
)

// file is the name of the file in the profile.
const file = "window.json"

// The values of Appearance.
const (
	System   = "" // follows the desktop
	Light    = "light"
	Dark     = "dark"
	Contrast = "contrast" // black and white only
)

// The values of Visible and Accept.
const (
	Everyone = ""
	Known    = "known"
	Nobody   = "nobody"
	Verified = "verified"
)

// The values of NoticeNames.
const (
	NamesKnown  = "" // of devices that the user has accepted or verified
	NamesHidden = "hidden"
	NamesShown  = "all"
)

// Settings are the user's choices. The zero value holds the defaults of a new window.
type Settings struct {
	Downloads rawpath.Path `json:"downloads,omitempty"` // folder for received files; empty means the system's downloads folder
	// DownloadsPlace is where Downloads was when the user chose it; see transfer.Place.
	DownloadsPlace string   `json:"downloadsPlace,omitempty"`
	Language       string   `json:"language,omitempty"`     // BCP 47; empty means the system's language
	Appearance     string   `json:"appearance,omitempty"`   // System, Light, Dark or Contrast
	TextSize       int      `json:"textSize,omitempty"`     // steps of 12.5 % from the normal size, -1 to 4
	Still          bool     `json:"still,omitempty"`        // no animations
	NoHistory      bool     `json:"noHistory,omitempty"`    // conversations are not stored on disk
	Quiet          bool     `json:"quiet,omitempty"`        // no notifications
	NoticeNames    string   `json:"noticeNames,omitempty"`  // whose names notifications show: NamesKnown, NamesHidden or NamesShown
	CloseQuits     bool     `json:"closeQuits,omitempty"`   // closing the window quits the program, with or without a tray
	Colour         int      `json:"colour,omitempty"`       // colour of this device, from 1; 0 derives it from the key
	Visible        string   `json:"visible,omitempty"`      // who can see this device: Everyone, Known or Nobody
	Accept         string   `json:"accept,omitempty"`       // who connects without asking: Known, Verified or Nobody; empty means Known
	PIN            string   `json:"localSendPIN,omitempty"` // required of devices with LocalSend; empty means none
	NoLocalSend    bool     `json:"noLocalSend,omitempty"`  // neither searches for devices with LocalSend nor answers them
	Port           int      `json:"port,omitempty"`         // UDP port; 0 means the default
	Interfaces     []string `json:"interfaces,omitempty"`   // empty means all
	AutoBytes      int64    `json:"autoBytes,omitempty"`    // preset limit for "take files without asking", bytes per day; 0 is a gigabyte
	Welcomed       bool     `json:"welcomed,omitempty"`     // the user was asked for the name of this device
	// Names are the names that this user has assigned to peers, by the string form of their ID.
	Names map[string]string `json:"names,omitempty"`
	// Favourites are the peers that are listed first, by the string form of their ID.
	Favourites []string `json:"favourites,omitempty"`
	Width      float32  `json:"width,omitempty"` // of the window, in Fyne's units; 0 means the default
	Height     float32  `json:"height,omitempty"`

	dir string
}

// Load reads the settings of a profile; a profile without any has the zero value. A value that cannot be parsed is
// reported, and replaced by the most private value. The settings are usable even after an error; a file that is not
// JSON is copied before it can be overwritten.
func Load(profile string) (*Settings, error) {
	s := &Settings{dir: profile}
	b, err := os.ReadFile(filepath.Join(profile, file))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return &Settings{dir: profile, Visible: Nobody, Accept: Nobody}, fmt.Errorf("reading the settings: %w; this device is invisible until the file can be read", err)
	}
	var values map[string]json.RawMessage
	err = json.Unmarshal(b, &values)
	if err == nil && values == nil {
		err = errors.New("it holds null")
	}
	if err != nil {
		_ = os.WriteFile(filepath.Join(profile, file+".damaged"), b, 0o600)
		return &Settings{dir: profile, Visible: Nobody, Accept: Nobody}, fmt.Errorf("reading the settings: %s is damaged and was not used: %w; this device is invisible until you change its visibility", filepath.Join(profile, file), err)
	}
	var bad []string
	for name, v := range values {
		one, err := json.Marshal(map[string]json.RawMessage{name: v})
		if err == nil && json.Unmarshal(one, s) == nil {
			continue
		}
		bad = append(bad, name)
		switch name {
		case "visible", "interfaces":
			s.Visible = Nobody
		case "accept":
			s.Accept = Nobody
		case "noLocalSend", "localSendPIN":
			s.NoLocalSend = true
		// not noHistory: the saved history would be deleted
		case "noticeNames":
			s.NoticeNames = NamesHidden
		}
	}
	s.tidy()
	if len(bad) > 0 {
		slices.Sort(bad)
		return s, fmt.Errorf("reading the settings: %s has invalid values for %q, which were ignored", filepath.Join(profile, file), bad)
	}
	return s, nil
}

// tidy corrects values that are out of range, for example after manual edits.
func (s *Settings) tidy() {
	s.TextSize = min(4, max(-1, s.TextSize))
	if !slices.Contains([]string{System, Light, Dark, Contrast}, s.Appearance) {
		s.Appearance = System
	}
	if !slices.Contains([]string{Everyone, Known, Nobody}, s.Visible) {
		s.Visible = Nobody // the safer choice
	}
	if !slices.Contains([]string{"", Known, Verified, Nobody}, s.Accept) {
		s.Accept = Nobody
	}
	if !slices.Contains([]string{NamesKnown, NamesHidden, NamesShown}, s.NoticeNames) {
		s.NoticeNames = NamesHidden
	}
	if s.Port < 0 || s.Port > 65535 {
		s.Port = 0
	}
	s.Colour, s.AutoBytes = max(0, s.Colour), max(0, s.AutoBytes)
	if s.Width < 320 || s.Height < 400 || s.Width > 8000 || s.Height > 8000 {
		s.Width, s.Height = 0, 0
	}
}

// Save makes the settings durable. Without a profile, they last only as long as the program runs.
func (s *Settings) Save() error {
	if s.dir == "" {
		return nil
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("saving the settings: %w", err)
	}
	f, err := os.CreateTemp(s.dir, file+".*")
	if err != nil {
		return fmt.Errorf("saving the settings: %w", err)
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, boltfile.Confirmed(f.Sync()), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.dir, file))
	}
	if err != nil {
		return fmt.Errorf("saving the settings: %w", err)
	}
	return nil
}

// TextScale returns the factor of the text size.
func (s *Settings) TextScale() float32 { return 1 + 0.125*float32(s.TextSize) }

// Favourite reports whether a peer is one of the user's favourites.
func (s *Settings) Favourite(id string) bool { return slices.Contains(s.Favourites, id) }

// SetFavourite adds a peer to the favourites, or removes it.
func (s *Settings) SetFavourite(id string, on bool) {
	s.Favourites = slices.DeleteFunc(s.Favourites, func(f string) bool { return f == id })
	if on {
		s.Favourites = append(s.Favourites, id)
	}
}

// SetName stores this user's name for a peer; an empty name restores the peer's own name.
func (s *Settings) SetName(id, name string) {
	if s.Names == nil {
		s.Names = map[string]string{}
	}
	s.Names[id] = name
	if name == "" {
		delete(s.Names, id)
	}
}
