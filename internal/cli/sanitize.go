package cli

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"strings"
	"unicode"

	"multipeer/engine"
)

// What a printer writes may contain text from a peer, the network or a file system. All of it goes through clean, so
// that no text can control the terminal or imitate a line of this program.

// verbatim is text that comes from this program alone. It is printed unchanged.
type verbatim string

// isVerbatim reports whether all text among args comes from this program. Its lines are not broken, so that links can be
// copied.
func isVerbatim(args []any) bool {
	for _, a := range args {
		if _, ok := a.(verbatim); !ok {
			return false
		}
	}
	return true
}

// passage is text that may have several lines, such as a message. Each line after the first is indented.
type passage string

// place is the path of a file. It has to be correct, so a few consecutive spaces in it are kept.
type place string

const (
	// maxIndent is the maximum number of spaces at the start of a line of a message.
	maxIndent = 16
	// maxBlanks is the maximum number of consecutive spaces in a path.
	maxBlanks = 8
)

// clean makes the arguments of a format string safe: text becomes one line without characters that act on a terminal.
// Numbers and booleans are unchanged.
func clean(args []any) []any {
	out := make([]any, len(args))
	for i, a := range args {
		out[i] = cleanOne(a)
	}
	return out
}

func cleanOne(a any) any {
	switch a := a.(type) {
	case nil:
		return nil
	case verbatim:
		return string(a)
	case passage:
		lines := strings.Split(string(a), "\n")
		for i, l := range lines {
			l = engine.CleanLine(strings.ReplaceAll(l, "\t", "    "))
			text := strings.TrimLeftFunc(l, unicode.IsSpace)
			indent := l[:len(l)-len(text)]
			if i == 0 || len(indent) > maxIndent || strings.Trim(indent, " ") != "" {
				text, indent = l, ""
			}
			lines[i] = indent + squeeze(text, 1)
		}
		return strings.Join(lines, "\n"+indent)
	case place:
		return squeeze(engine.CleanLine(string(a)), maxBlanks)
	case string:
		return oneLine(a)
	case error:
		return oneLine(a.Error())
	case fmt.Stringer:
		return oneLine(a.String())
	}
	switch reflect.TypeOf(a).Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return a
	}
	return oneLine(fmt.Sprint(a))
}

// oneLine returns text for use within a line. Consecutive spaces become one.
func oneLine(s string) string { return squeeze(engine.CleanLine(s), 1) }

// squeeze replaces each run of more than most spaces, of any kind, with one space: a terminal breaks lines at its
// width, and text after many spaces would look like a separate line.
func squeeze(s string, most int) string {
	var out, run strings.Builder
	blanks := 0
	flush := func() {
		if blanks > most { // guard: blanks-in-a-line
			run.Reset()
			run.WriteByte(' ')
		}
		out.WriteString(run.String())
		run.Reset()
		blanks = 0
	}
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			blanks++
			run.WriteRune(r)
		case blanks > 0 && unicode.In(r, unicode.Cf, unicode.Variation_Selector): // they are invisible
			run.WriteRune(r)
		default:
			flush()
			out.WriteRune(r)
		}
	}
	flush()
	return out.String()
}

// newLog returns the log for --verbose. Its lines may contain text from peers, too.
func newLog(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch v := a.Value.Resolve(); v.Kind() {
			case slog.KindString:
				a.Value = slog.StringValue(engine.CleanLine(v.String()))
			case slog.KindAny:
				if a.Key != slog.LevelKey && a.Key != slog.SourceKey {
					a.Value = slog.AnyValue(cleanOne(v.Any()))
				}
			}
			return a
		},
	}))
}
