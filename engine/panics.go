package engine

import (
	"fmt"
	"runtime/debug"
)

// recoverPanic calls a function of the program that handles input from a peer. A panic is logged and undo is called,
// and the engine continues: input from a peer must not end the process.
func recoverPanic(e *Engine, what string, f, undo func()) {
	defer func() {
		if r := recover(); r != nil { // guard: panic-handler
			e.panics.Error("panic in a function of the program", "function", what, "panic", fmt.Sprintf("%q", fmt.Sprint(r)), "stack", string(debug.Stack()))
			undo()
		}
	}()
	f()
}
