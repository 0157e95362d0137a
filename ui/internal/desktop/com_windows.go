package desktop

import (
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"
)

// comObject is an interface pointer of the Component Object Model: it points to a table of methods. The first three are
// those of IUnknown.
type comObject struct {
	methods *[32]uintptr
}

const (
	queryInterface = 0
	release        = 2
)

var coCreateInstance = windows.NewLazySystemDLL("ole32.dll").NewProc("CoCreateInstance")

// withCOM runs f on a thread of its own with COM initialised (CoInitializeEx, apartment-threaded). Interface pointers
// must not leave f.
func withCOM(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := windows.CoInitializeEx(0, windows.COINIT_APARTMENTTHREADED|windows.COINIT_DISABLE_OLE1DDE)
	if err != nil && err != syscall.Errno(1) { // S_FALSE: this thread has initialised it before, and this call counts too
		return err
	}
	defer windows.CoUninitialize()
	return f()
}

// createCOM returns an interface of a new object of a class. The caller releases it.
func createCOM(class, iface windows.GUID) (*comObject, error) {
	const inProcess = 1 // CLSCTX_INPROC_SERVER
	var o *comObject
	r, _, _ := coCreateInstance.Call(uintptr(unsafe.Pointer(&class)), 0, inProcess, uintptr(unsafe.Pointer(&iface)), uintptr(unsafe.Pointer(&o)))
	return o, hresult(r)
}

// query returns another interface of the same object. The caller releases it.
func (o *comObject) query(iface windows.GUID) (*comObject, error) {
	var other *comObject
	err := o.call(queryInterface, uintptr(unsafe.Pointer(&iface)), uintptr(unsafe.Pointer(&other)))
	return other, err
}

// call calls the method with an index. Pointers to Go memory among the arguments must be converted in the call itself.
//
//go:uintptrescapes
func (o *comObject) call(method int, args ...uintptr) error {
	r, _, _ := syscall.SyscallN(o.methods[method], append([]uintptr{uintptr(unsafe.Pointer(o))}, args...)...)
	return hresult(r)
}

func (o *comObject) release() { _ = o.call(release) } // the number of references is no error

// hresult returns an error for an HRESULT that reports a failure.
func hresult(r uintptr) error {
	if int32(r) >= 0 {
		return nil
	}
	return syscall.Errno(uint32(r))
}
