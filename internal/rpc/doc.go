// Package rpc serves an engine to a program in any language: JSON-RPC 2.0, one message per line, over a pair of
// streams. docs/json-rpc.md describes every method and notification.
//
// Requests run concurrently, but messages to one peer are sent in the order of their requests, and so are the writes to
// one stream. Everything that peers send is passed on unchanged, as untrusted input for the program.
package rpc
