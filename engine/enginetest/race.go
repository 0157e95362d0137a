//go:build race

package enginetest

import "runtime"

// Go 1.26's race detector keeps one context for the timers of a synctest bubble, and crashes in __tsan::SlotLock when
// two threads run such timers at once (runtime.(*timer).unlockAndRun). With one thread it finds the same races,
// because it detects them by happens-before order.
func init() { runtime.GOMAXPROCS(1) }
