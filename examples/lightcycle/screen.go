package main

import (
	"fmt"
	"os"
	"strings"
	"sync"

	"golang.org/x/term"
)

// The size that a round needs: the walls around two cells per character, and two lines of text.
const (
	screenWidth  = Width + 2
	screenHeight = Height/2 + 2 + 2
)

// ink is the terminal's number (of 256) for each of colours, and headInk for the heads of the cycles.
var ink = [MaxRiders]int{196, 46, 226, 33, 201, 51, 250, 208}

const headInk = 231

// Screen draws on a terminal. It has its own goroutine, so that a slow terminal does not delay the game: pictures for
// which there was no time are never drawn.
type Screen struct {
	in, out *os.File
	was     *term.State
	frames  chan Picture
	drawing sync.WaitGroup
}

// OpenScreen takes over the terminal; Close restores it.
func OpenScreen(in, out *os.File) (*Screen, error) {
	if !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, fmt.Errorf("this is not a terminal; use -robot to play without one")
	}
	was, err := term.MakeRaw(int(in.Fd()))
	if err != nil {
		return nil, err
	}
	s := &Screen{in: in, out: out, was: was, frames: make(chan Picture, 1)}
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l") // the alternate screen, no cursor
	s.drawing.Go(func() {
		last := ""
		for p := range s.frames {
			width, height, err := term.GetSize(int(out.Fd()))
			if err != nil {
				width, height = screenWidth, screenHeight
			}
			if text := render(p, width, height); text != last {
				fmt.Fprint(out, text)
				last = text
			}
		}
	})
	return s, nil
}

// Show draws p as soon as the terminal is ready. It is called by one goroutine, and not after Close.
func (s *Screen) Show(p Picture) {
	select {
	case <-s.frames: // outdated
	default:
	}
	s.frames <- p
}

// Close restores the terminal.
func (s *Screen) Close() error {
	close(s.frames)
	s.drawing.Wait()
	fmt.Fprint(s.out, "\x1b[0m\x1b[?25h\x1b[?1049l")
	return term.Restore(int(s.in.Fd()), s.was)
}

// Key is a player's input.
type Key int

// The keys.
const (
	NoKey Key = iota
	KeyLeft
	KeyRight
	KeyReady
	KeyQuit
)

// Keys calls f for each key until the input ends. A read from a terminal cannot be cancelled: it ends with the
// process.
func (s *Screen) Keys(f func(Key)) {
	var keys keyReader
	b := make([]byte, 64)
	for {
		n, err := s.in.Read(b)
		for _, c := range b[:n] {
			if k := keys.read(c); k != NoKey {
				f(k)
			}
		}
		if err != nil {
			f(KeyQuit)
			return
		}
	}
}

// keyReader finds keys in bytes. An arrow is three bytes, which may arrive separately.
type keyReader struct{ before [2]byte }

func (k *keyReader) read(c byte) Key {
	arrow := k.before == [2]byte{0x1b, '['} || k.before == [2]byte{0x1b, 'O'}
	k.before = [2]byte{k.before[1], c}
	if arrow {
		switch c {
		case 'C':
			return KeyRight
		case 'D':
			return KeyLeft
		}
		return NoKey
	}
	switch c {
	case 'a', 'A':
		return KeyLeft
	case 'd', 'D':
		return KeyRight
	case ' ', '\r', '\n':
		return KeyReady
	case 'q', 'Q', 3: // in raw mode Ctrl-C is an ordinary byte
		return KeyQuit
	}
	return NoKey
}

// render returns the whole screen as text, from its upper left corner.
func render(p Picture, width, height int) string {
	var lines []string
	switch {
	case width < screenWidth || height < screenHeight:
		lines = []string{fmt.Sprintf("The board needs %d x %d characters; this terminal has %d x %d.", screenWidth, screenHeight, width, height), p.Notice}
	case p.Live || p.Linger:
		lines = append(boardLines(p.Board), ridersLine(p), roundLine(p))
	default:
		lines = lobbyLines(p, height)
	}
	// Each line is cleared before it is written: clearing after a full line would erase its last character.
	return "\x1b[H\x1b[2K" + strings.Join(lines, "\r\n\x1b[2K") + "\x1b[0m\x1b[J"
}

func paint(colour int, text string) string {
	return fmt.Sprintf("\x1b[38;5;%dm%s\x1b[0m", ink[colour], text)
}

func lobbyLines(p Picture, height int) []string {
	lines := []string{"LIGHT CYCLES", ""}
	for i, s := range p.Lobby {
		you := ""
		if i == 0 {
			you = "  (you)"
		}
		lines = append(lines, fmt.Sprintf("  %s %-8s %2d won  %s%s", paint(s.Colour, "██"), s.At, s.Wins, s.Name, you))
	}
	help := "space: ready   q: quit"
	switch {
	case len(p.Lobby) < MinRiders:
		help = "Looking for other players.   " + help
	case p.Ready:
		help = "The game starts when all are ready.   q: quit"
	}
	lines = append(lines, "", help, "In the game: left and right arrow, or a and d.", "", p.Notice)
	return lines[:min(len(lines), height)]
}

// boardLines draws two cells in each character: the upper one in its foreground colour, the lower one in its
// background.
func boardLines(b *Board) []string {
	wall := "+" + strings.Repeat("-", Width) + "+"
	heads := map[Cell]bool{}
	for _, r := range b.Riders {
		heads[r.At] = true
	}
	inkAt := func(c Cell) int {
		rider, ok := b.Trail(c)
		switch {
		case !ok:
			return 0
		case heads[c]:
			return headInk
		}
		return ink[rider]
	}
	lines := []string{wall}
	for y := 0; y < Height; y += 2 {
		var line strings.Builder
		line.WriteByte('|')
		for x := range Width {
			switch up, low := inkAt(Cell{x, y}), inkAt(Cell{x, y + 1}); {
			case up == 0 && low == 0:
				line.WriteByte(' ')
			case low == 0:
				fmt.Fprintf(&line, "\x1b[38;5;%dm▀\x1b[0m", up)
			case up == 0:
				fmt.Fprintf(&line, "\x1b[38;5;%dm▄\x1b[0m", low)
			default:
				fmt.Fprintf(&line, "\x1b[38;5;%d;48;5;%dm▀\x1b[0m", up, low)
			}
		}
		line.WriteByte('|')
		lines = append(lines, line.String())
	}
	return append(lines, wall)
}

// ridersLine names the riders, shortened to fit one line.
func ridersLine(p Picture) string {
	each := screenWidth/len(p.Riders) - 3
	var parts []string
	for i, e := range p.Riders {
		name := []rune(e.Name)
		name = name[:min(len(name), each)]
		mark := " "
		if p.Board.Riders[i].Out {
			mark = "x"
		} else if i == p.Me {
			mark = ">"
		}
		parts = append(parts, mark+paint(e.Colour, string(name)))
	}
	return strings.Join(parts, "  ")
}

func roundLine(p Picture) string {
	switch {
	case !p.Live || p.Board.Over():
		return p.Notice
	case p.Board.Tick == 0:
		return "Get ready: you are " + colours[p.Riders[p.Me].Colour]
	case p.Board.Riders[p.Me].Out:
		return "You are out. q: quit"
	}
	return "left and right arrow, or a and d; q: quit"
}
