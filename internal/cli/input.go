package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/term"

	"multipeer/engine"
)

const (
	// maxLine is the maximum length of a line of chat, in bytes: the JSON around the text takes the rest of a message.
	maxLine = engine.MaxMessage - 16
	// maxAnswer is the maximum length of an answer to a question, in bytes.
	maxAnswer = 4096
)

// inputLine is one line of standard input, or the reason why there are no more.
type inputLine struct {
	number int // from 1
	text   string
	size   int64 // in bytes, of the line as it was read
	long   bool  // it exceeds the limit, and text is empty
	err    error // the error that ended the input; nil at its regular end
}

// readLines reads standard input on its own goroutine, which may block on a terminal until the process ends. A line
// of more than limit bytes is skipped without being kept in memory, and marked as long. The channel is closed at the
// end of the input; a read error is the last value before that.
func readLines(ctx context.Context, in io.Reader, limit int) <-chan inputLine {
	lines := make(chan inputLine)
	go func() {
		defer close(lines)
		r := bufio.NewReaderSize(in, 64<<10)
		for number := 1; ; number++ {
			line, err := readLine(r, limit)
			line.number = number
			if line.size == 0 && err == io.EOF {
				return
			}
			if err != nil && err != io.EOF {
				line = inputLine{number: number, err: err}
			}
			select {
			case lines <- line:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return lines
}

// readLine reads up to the next line break, which is not part of the text.
func readLine(r *bufio.Reader, limit int) (line inputLine, err error) {
	var text []byte
	for {
		part, err := r.ReadSlice('\n')
		line.size += int64(len(part))
		if !line.long {
			text = append(text, part...)
			if len(bytes.TrimRight(text, "\r\n")) > limit {
				line.long, text = true, nil
			}
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if line.long {
			return line, err
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		line.text = string(text)
		return line, err
	}
}

// tooLong returns why a line of chat is not sent.
func (l inputLine) tooLong() error {
	return fmt.Errorf("line %d is %s long; a message can have at most %s bytes", l.number, size(l.size), grouped(maxLine))
}

// grouped formats a number with commas between thousands.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// noAnswers returns why no more questions can be answered.
func noAnswers(err error) string {
	if err != nil {
		return fmt.Sprintf("standard input cannot be read: %v", err)
	}
	return "standard input has ended"
}

// typed reports whether standard input is a keyboard: lines typed before a question do not answer it.
func (p *program) typed() bool {
	f, ok := p.in.(*os.File)
	return p.keyboard || ok && term.IsTerminal(int(f.Fd()))
}
