package autostart

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"
)

// On Windows, the user's Run key starts both the window and the service. A service gets no further support.

const runKey = `Software\Microsoft\Windows\CurrentVersion\Run`

func (e Entry) value() string {
	if e.Service {
		return "Multipeer serve"
	}
	return "Multipeer"
}

// On reports whether the Run key contains the program.
func (e Entry) On() (bool, error) {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.QUERY_VALUE)
	if err != nil {
		return false, err
	}
	defer k.Close()
	_, _, err = k.GetStringValue(e.value())
	if errors.Is(err, registry.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func (e Entry) write(command []string) error {
	k, _, err := registry.CreateKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer k.Close()
	if err := k.SetStringValue(e.value(), windows.ComposeCommandLine(command)); err != nil || !e.Service {
		return err
	}
	c := exec.Command(command[0], command[1:]...)
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.CREATE_NO_WINDOW}
	if err := c.Start(); err != nil {
		return err
	}
	return c.Process.Release() // it keeps running when we exit
}

func (e Entry) remove() error {
	k, err := registry.OpenKey(registry.CURRENT_USER, runKey, registry.SET_VALUE)
	if err != nil {
		return err
	}
	defer k.Close()
	if err := k.DeleteValue(e.value()); !errors.Is(err, registry.ErrNotExist) {
		return err
	}
	return nil
}

var freeConsole = windows.NewLazySystemDLL("kernel32.dll").NewProc("FreeConsole")

// CloseConsole closes the console window of this program if it has its own, as a program started by the Run key does.
func CloseConsole() { _, _, _ = freeConsole.Call() }
