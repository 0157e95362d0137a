package widgets

import (
	"testing"

	"fyne.io/fyne/v2/test"
)

// newTestApp creates an app with Multipeer's theme.
func newTestApp(t *testing.T) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(Theme{})
}
