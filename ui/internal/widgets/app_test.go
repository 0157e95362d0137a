package widgets

import (
	"testing"

	"fyne.io/fyne/v2/test"
)

// newTestApp makes an app with the theme of Multipeer.
func newTestApp(t *testing.T) {
	t.Helper()
	test.NewTempApp(t).Settings().SetTheme(Theme{})
}
