//go:build !linux

package main

import "context"

func layWiFi(string, float64, float64) func(context.Context) (*line, error) {
	return func(context.Context) (*line, error) { return nil, errNoNamespaces }
}
