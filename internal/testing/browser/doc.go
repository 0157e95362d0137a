// Package browser tests the page of multipeer-cli link with a real browser, Chromium.
package browser
