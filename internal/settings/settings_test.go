package settings

import (
	"os"
	"path/filepath"
	"testing"
)

func TestSettings_AreKept(t *testing.T) {
	dir := t.TempDir()
	s, err := Load(dir)
	if err != nil || s.TextScale() != 1 || s.Appearance != System || s.Visible != Everyone {
		t.Fatalf("a new profile: %+v, %v", s, err)
	}
	s.Language, s.TextSize, s.Interfaces = "fi", 2, []string{"eth0"}
	s.SetName("X", "Mum's laptop")
	s.SetName("Y", "gone")
	s.SetName("Y", "")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	got, err := Load(dir)
	if err != nil || got.Language != "fi" || got.TextScale() != 1.25 || got.Names["X"] != "Mum's laptop" || len(got.Names) != 1 || got.Interfaces[0] != "eth0" {
		t.Errorf("%+v, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*")); len(left) != 1 {
		t.Errorf("files left: %q", left)
	}
}

func TestLoad_DamagedSettingsAreReportedAndNotUsed(t *testing.T) {
	dir := t.TempDir()
	for content, want := range map[string]bool{
		`{"language":`: true, `[]`: true, `null`: true, ``: true, `{"visible":"nobody","textSize":"1","accept":7}`: true,
		`{"textSize":99,"appearance":"pink","port":-4,"width":1,"visible":"all","accept":"anyone"}`: false,
	} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(dir)
		if (err != nil) != want {
			t.Errorf("%s: %v", content, err)
		}
		if s.TextSize > 4 || s.Appearance != System || s.Port != 0 || s.Width != 0 {
			t.Errorf("%s: %+v", content, s)
		}
		if s.Visible != Nobody || s.Accept != Nobody {
			t.Errorf("an unknown audience became %q, %q", s.Visible, s.Accept)
		}
		if err := s.Save(); err != nil { // the settings can still be changed in the window
			t.Error(err)
		}
	}
}

// TestLoad_UnreadableSettingsHideTheDevice checks that a device does not become visible because its settings cannot be
// read.
func TestLoad_UnreadableSettingsHideTheDevice(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, file), 0o700); err != nil { // not even root can read a folder as a file
		t.Fatal(err)
	}
	s, err := Load(dir)
	if err == nil || s.Visible != Nobody || s.Accept != Nobody {
		t.Errorf("visible to %q, accepts %q, %v", s.Visible, s.Accept, err)
	}
}

// TestLoad_DamagedValuesAreTheMostPrivate: a value that cannot be read never makes this device do more.
func TestLoad_DamagedValuesAreTheMostPrivate(t *testing.T) {
	for name, private := range map[string]func(*Settings) bool{
		"visible":      func(s *Settings) bool { return s.Visible == Nobody },
		"accept":       func(s *Settings) bool { return s.Accept == Nobody },
		"interfaces":   func(s *Settings) bool { return s.Visible == Nobody },
		"noLocalSend":  func(s *Settings) bool { return s.NoLocalSend },
		"localSendPIN": func(s *Settings) bool { return s.NoLocalSend },
		"noHistory":    func(s *Settings) bool { return !s.NoHistory }, // the saved history would be deleted
		"noticeNames":  func(s *Settings) bool { return s.NoticeNames == NamesHidden },
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, file), []byte(`{"`+name+`":{"x":1}}`), 0o600); err != nil {
			t.Fatal(err)
		}
		if s, err := Load(dir); err == nil || !private(s) {
			t.Errorf("%s: %v, %+v", name, err, s)
		}
	}
}
