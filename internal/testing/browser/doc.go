// Package browser tests the page of multipeer-cli link with real browsers, Chromium and Firefox.
package browser
