package desktop

import (
	"errors"
	"os"
	"path/filepath"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"multipeer/internal/autostart"
)

// linkClass is the key of this user's registry that assigns multipeer: links to a program.
const linkClass = `Software\Classes\multipeer`

// IShellLinkW and IPersistFile (shobjidl_core.h, objidl.h), with the indexes of their methods.
var (
	classShellLink   = windows.GUID{Data1: 0x00021401, Data4: [8]byte{0xC0, 7: 0x46}}
	ifaceShellLink   = windows.GUID{Data1: 0x000214F9, Data4: [8]byte{0xC0, 7: 0x46}}
	ifacePersistFile = windows.GUID{Data1: 0x0000010B, Data4: [8]byte{0xC0, 7: 0x46}}
)

const (
	shellLinkSetArguments = 11
	shellLinkSetPath      = 20
	persistFileSave       = 6
)

// sendToEntry returns the path of this program's entry in the "Send to" menu.
func sendToEntry() (string, error) {
	dir, err := windows.KnownFolderPath(windows.FOLDERID_SendTo, windows.KF_FLAG_CREATE)
	return filepath.Join(dir, "Multipeer.lnk"), err
}

// FileManager reports whether the "Send to" menu of Explorer has an entry for this program.
func (s *System) FileManager() (bool, error) {
	path, err := sendToEntry()
	if err != nil {
		return false, err
	}
	_, err = os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

// SetFileManager adds this program to the "Send to" menu of Explorer and makes it open multipeer: links, for this user,
// or removes both.
func (s *System) SetFileManager(on bool) error {
	path, err := sendToEntry()
	if err != nil {
		return err
	}
	if !on {
		err := os.Remove(path)
		if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return errors.Join(err, removeLinkClass())
	}
	program, err := autostart.Program()
	if err != nil {
		return err
	}
	if err := writeLinkClass(program); err != nil {
		return err
	}
	return writeShortcut(path, program)
}

// writeShortcut writes a shortcut that starts the program with the files that the user sends to it. The "--" makes sure
// that none of them is read as an option.
func writeShortcut(path, program string) error {
	return withCOM(func() error {
		link, err := createCOM(classShellLink, ifaceShellLink)
		if err != nil {
			return err
		}
		defer link.release()
		if err := setText(link, shellLinkSetPath, program); err != nil {
			return err
		}
		if err := setText(link, shellLinkSetArguments, "--"); err != nil {
			return err
		}
		file, err := link.query(ifacePersistFile)
		if err != nil {
			return err
		}
		defer file.release()
		text, err := windows.UTF16PtrFromString(path)
		if err != nil {
			return err
		}
		const keepPath = 1 // the object goes on using this path
		return file.call(persistFileSave, uintptr(unsafe.Pointer(text)), keepPath)
	})
}

func setText(o *comObject, method int, value string) error {
	text, err := windows.UTF16PtrFromString(value)
	if err != nil {
		return err
	}
	return o.call(method, uintptr(unsafe.Pointer(text)))
}

// writeLinkClass makes the program open multipeer: links. A link is one argument after "--": it is never an option.
func writeLinkClass(program string) error {
	values := []struct{ key, name, value string }{
		{linkClass, "", "URL:Multipeer"},
		{linkClass, "URL Protocol", ""},
		{linkClass + `\DefaultIcon`, "", `"` + program + `",0`},
		{linkClass + `\shell\open\command`, "", `"` + program + `" -- "%1"`},
	}
	for _, v := range values {
		k, _, err := registry.CreateKey(registry.CURRENT_USER, v.key, registry.SET_VALUE)
		if err != nil {
			return err
		}
		err = errors.Join(k.SetStringValue(v.name, v.value), k.Close())
		if err != nil {
			return err
		}
	}
	return nil
}

// removeLinkClass removes the keys of writeLinkClass, from the innermost outwards.
func removeLinkClass() error {
	for _, key := range []string{`\shell\open\command`, `\shell\open`, `\shell`, `\DefaultIcon`, ""} {
		if err := registry.DeleteKey(registry.CURRENT_USER, linkClass+key); err != nil && !errors.Is(err, registry.ErrNotExist) {
			return err
		}
	}
	return nil
}
