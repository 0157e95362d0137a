package engine_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if any test leaks a goroutine. Tests inside a synctest bubble fail by themselves if one of their
// goroutines still exists when they return.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
