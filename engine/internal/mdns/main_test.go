package mdns

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if any test leaks a goroutine.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
