package load

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// spin works for the given CPU time of one thread, and returns the elapsed time and the CPU time.
func spin(work time.Duration) (wall, cpu time.Duration) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	began, before := time.Now(), threadTime()
	var sum [32]byte
	for cpu < work && time.Since(began) < time.Second {
		sum = burn(sum)
		cpu = threadTime() - before
	}
	return time.Since(began), cpu
}

func threadTime() time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_THREAD, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
