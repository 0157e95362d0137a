package desktop

import (
	"errors"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// dock shows progress on the button of the window in the task bar.
type dock struct {
	mu sync.Mutex
}

// ITaskbarList3 (shobjidl_core.h), with the indexes of its methods.
var (
	classTaskbarList  = windows.GUID{Data1: 0x56FDF344, Data2: 0xFD6D, Data3: 0x11D0, Data4: [8]byte{0x95, 0x8A, 0x00, 0x60, 0x97, 0xC9, 0xA0, 0x90}}
	ifaceTaskbarList3 = windows.GUID{Data1: 0xEA1AFB91, Data2: 0x9E28, Data3: 0x4B86, Data4: [8]byte{0x90, 0xE9, 0x9E, 0x9F, 0x8A, 0x5E, 0xEF, 0xAF}}
)

const (
	taskbarInit             = 3
	taskbarSetProgressValue = 9
	taskbarSetProgressState = 10
)

const (
	noProgress     = 0 // TBPF_NOPROGRESS
	normalProgress = 2 // TBPF_NORMAL
)

// ShowProgress shows progress on the window's button in the task bar, from 0 to 1; a negative value hides it. A window
// in the tray has no button: that is an error.
func (s *System) ShowProgress(part float64) error {
	s.dock.mu.Lock()
	defer s.dock.mu.Unlock()
	window, err := ownWindow()
	if err != nil {
		return err
	}
	return withCOM(func() error {
		list, err := createCOM(classTaskbarList, ifaceTaskbarList3)
		if err != nil {
			return err
		}
		defer list.release()
		if err := list.call(taskbarInit); err != nil {
			return err
		}
		if part < 0 {
			return list.call(taskbarSetProgressState, uintptr(window), noProgress)
		}
		if err := list.call(taskbarSetProgressState, uintptr(window), normalProgress); err != nil {
			return err
		}
		const whole = 1000
		return list.call(taskbarSetProgressValue, uintptr(window), uintptr(min(part, 1)*whole), whole)
	})
}

// found is the argument of the callback of ownWindow: Windows passes its address through.
type found struct {
	process uint32
	window  windows.HWND
}

// takeOwn is a callback of EnumWindows. It is created once, because callbacks are never freed.
var takeOwn = syscall.NewCallback(func(window windows.HWND, f *found) uintptr {
	const next, stop = 1, 0
	var process uint32
	if _, err := windows.GetWindowThreadProcessId(window, &process); err != nil || process != f.process || !windows.IsWindowVisible(window) {
		return next
	}
	f.window = window
	return stop
})

// ownWindow returns the visible top-level window of this program.
func ownWindow() (windows.HWND, error) {
	f := &found{process: windows.GetCurrentProcessId()}
	_ = windows.EnumWindows(takeOwn, unsafe.Pointer(f)) // stopping early is reported as an error
	if f.window == 0 {
		return 0, errors.New("this program has no visible window")
	}
	return f.window, nil
}
