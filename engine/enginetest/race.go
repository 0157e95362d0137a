//go:build race

package enginetest

import "runtime"

// Go 1.26's race detector keeps one context for the timers of a synctest bubble, and crashes in __tsan::SlotLock when
// two threads run such timers at once (runtime.(*timer).unlockAndRun). On one thread it finds the same races, since it
// goes by what happens before what.
func init() { runtime.GOMAXPROCS(1) }
