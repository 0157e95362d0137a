// Package languages tests what programs in other languages use: the Python package with its tests and examples, and
// multipeer-cli api driven by a script of Node.js.
package languages
