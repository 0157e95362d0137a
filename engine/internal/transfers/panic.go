package transfers

import (
	"errors"
	"fmt"
	"runtime/debug"

	"multipeer/transfer"
)

// errPanic is the error of a transfer that failed because of a bug in this program.
var errPanic = errors.New("an internal error in this program; please report it")

// guarded calls run. A panic in it fails this transfer alone: what the other side sends must not end the program.
func (m *Manager) guarded(run func() (transfer.Result, error)) (result transfer.Result, err error) {
	defer func() {
		if r := recover(); r != nil {
			m.log.Error("panic in a transfer", "panic", fmt.Sprintf("%q", fmt.Sprint(r)), "stack", string(debug.Stack()))
			err = errPanic
		}
	}()
	return run()
}
