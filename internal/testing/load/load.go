// Package load measures how much slower this machine currently is than a quiet one, so that a test's time limit
// measures the product and not other load on the machine.
package load

import (
	"crypto/sha256"
	"time"
)

// Factor returns the ratio of wall time to CPU time of a busy thread: 1 on a quiet machine, 2 if two busy programs
// share each core. Measuring takes a few milliseconds. If the system does not report CPU time, the result is 1.
func Factor() float64 {
	const work = 5 * time.Millisecond
	wall, cpu := spin(work)
	if cpu <= 0 {
		return 1
	}
	return max(1, wall.Seconds()/cpu.Seconds())
}

// Exceeds reports whether took is longer than limit, a time on a quiet machine. It measures the load only if took
// exceeds the limit itself.
func Exceeds(took, limit time.Duration) bool {
	if took <= limit {
		return false
	}
	const samples = 10 // one may fit between two turns of the other programs
	factor := 0.0
	for range samples {
		factor += Factor() / samples
	}
	return took > time.Duration(float64(limit)*factor)
}

// burn does some work that no compiler can remove.
func burn(sum [32]byte) [32]byte {
	for range 200 {
		sum = sha256.Sum256(sum[:])
	}
	return sum
}

// Within calls done at the given interval until it returns true. It returns false after limit, measured in time of a
// quiet machine. However slow the machine is, it waits at most ten times the limit.
func Within(limit, every time.Duration, done func() bool) bool {
	began := time.Now()
	var used time.Duration
	for last := began; ; last = time.Now() {
		if done() {
			return true
		}
		time.Sleep(every)
		passed := time.Since(last)
		used += time.Duration(float64(passed) / Factor())
		if used > limit || time.Since(began) > 10*limit {
			return done()
		}
	}
}
