// Package rawpath puts paths into JSON. The name of a file need not be UTF-8, and JSON replaces what is not.
package rawpath

import (
	"strings"
	"unicode/utf8"
)

// escape begins an escaped byte, followed by two hexadecimal digits. No path contains it.
const escape = '\x00'

const digits = "0123456789abcdef"

// Encode returns a path as UTF-8. A path that is UTF-8 stays as it is.
func Encode(path string) string {
	if utf8.ValidString(path) {
		return path
	}
	var b strings.Builder
	for len(path) > 0 {
		r, n := utf8.DecodeRuneInString(path)
		if r == utf8.RuneError && n == 1 {
			b.Write([]byte{escape, digits[path[0]>>4], digits[path[0]&15]})
		} else {
			b.WriteString(path[:n])
		}
		path = path[n:]
	}
	return b.String()
}

// Decode reverses Encode.
func Decode(text string) string {
	var b strings.Builder
	for {
		before, after, found := strings.Cut(text, string(escape))
		b.WriteString(before)
		if !found {
			return b.String()
		}
		if len(after) < 2 || strings.IndexByte(digits, after[0]) < 0 || strings.IndexByte(digits, after[1]) < 0 {
			text = after // not from Encode
			continue
		}
		b.WriteByte(byte(strings.IndexByte(digits, after[0])<<4 | strings.IndexByte(digits, after[1])))
		text = after[2:]
	}
}

// EncodeAll calls Encode for each path. It returns nil for nil.
func EncodeAll(paths []string) []string { return each(paths, Encode) }

// DecodeAll reverses EncodeAll.
func DecodeAll(texts []string) []string { return each(texts, Decode) }

func each(list []string, f func(string) string) []string {
	if list == nil {
		return nil
	}
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = f(s)
	}
	return out
}

// Path is a path in a value that is stored as JSON.
type Path string

// MarshalText implements encoding.TextMarshaler.
func (p Path) MarshalText() ([]byte, error) { return []byte(Encode(string(p))), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (p *Path) UnmarshalText(b []byte) error {
	*p = Path(Decode(string(b)))
	return nil
}
