package cli

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// A terminal continues a long line at the start of its next row, where the lines of this program begin. Text of a peer
// that fills a row exactly would look like a line of its own, so the printer breaks long lines itself, and indents what
// follows.

// indent begins each row of a line after the first.
const indent = "    "

// minColumns is the least width for which lines are broken.
const minColumns = 20

// columnsOf returns the width of the terminal that w writes to; 0 if it is not a terminal.
func columnsOf(w io.Writer) int {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns < minColumns {
		return minColumns
	}
	return columns
}

// wrap breaks each line of s so that no row is wider than a terminal with the given columns; 0 means no limit. It breaks
// at spaces where it can.
func wrap(s string, columns int) string {
	lines := strings.Split(s, "\n")
	for i, line := range lines {
		if columns > 0 { // guard: rows-of-a-terminal
			lines[i] = strings.Join(breakLine(line, columns-1), "\n"+indent)
		}
	}
	return strings.Join(lines, "\n")
}

// breakLine breaks a line into rows of at most the given number of cells, indent included.
func breakLine(line string, most int) (out []string) {
	limit := most
	for {
		cut, space, used := len(line), -1, 0
		for i, r := range line {
			used += cells(r)
			if used > limit {
				cut = i
				break
			}
			if r == ' ' && used > limit/2 {
				space = i
			}
		}
		if cut == len(line) {
			return append(out, line)
		}
		next := cut
		if space >= 0 {
			cut, next = space, space+1
		}
		out = append(out, line[:cut])
		line, limit = line[next:], most-len(indent)
	}
}

// cells returns the maximum number of terminal cells that a character occupies. Terminals follow different versions of
// Unicode, and each version makes some characters wider, so only letters of scripts that are narrow in all of them
// count as one.
func cells(r rune) int {
	switch {
	case r < 0x80:
		return 1
	case r < 0x1100, r >= 0x1E00 && r <= 0x1FFF: // up to Hangul; additions to Latin and Greek
		if unicode.IsLetter(r) || width.LookupRune(r).Kind() != width.EastAsianAmbiguous {
			return 1
		}
	}
	return 2
}
