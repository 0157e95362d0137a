package main

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestKeysThatComeInPieces(t *testing.T) {
	var k keyReader
	var got []Key
	for _, c := range []byte("ad \x1b[D\x1b[C\x1b[A\x1bOD\x1bOCxq\x03\r") {
		if key := k.read(c); key != NoKey {
			got = append(got, key)
		}
	}
	want := []Key{KeyLeft, KeyRight, KeyReady, KeyLeft, KeyRight, KeyLeft, KeyRight, KeyQuit, KeyQuit, KeyReady}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;?]*[A-Za-z]")

// plain returns what render writes without colours, line by line.
func plain(p Picture, width, height int) []string {
	return strings.Split(escapes.ReplaceAllString(render(p, width, height), ""), "\r\n")
}

func TestRenderFits(t *testing.T) {
	var eight []entry
	var seats []Seat
	for i := range MaxRiders {
		name := label(strings.Repeat("ä", 63))
		eight = append(eight, entry{Name: name, Colour: i})
		seats = append(seats, Seat{Name: name, At: "chooses", Colour: i})
	}
	b := NewBoard(MaxRiders)
	for _, p := range []Picture{
		{Lobby: seats, Notice: "x"},
		{Lobby: seats[:1]},
		{Lobby: seats, Board: b, Riders: eight, Live: true},
	} {
		lines := plain(p, screenWidth, screenHeight)
		if len(lines) > screenHeight {
			t.Errorf("%d lines", len(lines))
		}
		for _, line := range lines {
			if n := utf8.RuneCountInString(line); n > screenWidth || strings.ContainsRune(line, 0x1b) {
				t.Errorf("%d characters: %q", n, line)
			}
		}
	}
	if got := plain(Picture{Live: true, Board: b, Riders: eight}, 40, 10); !strings.Contains(got[0], "80 x 24") {
		t.Errorf("a small terminal: %q", got)
	}
}

func TestBoardIsDrawn(t *testing.T) {
	b := put(Rider{At: Cell{0, 0}}, Rider{At: Cell{Width - 1, Height - 1}}, Rider{At: Cell{5, 2}})
	b.trails[Cell{5, 3}.index()] = 1
	lines := plain(Picture{Live: true, Board: b, Riders: make([]entry, 3)}, screenWidth, screenHeight)
	if r := []rune(lines[1]); r[1] != '▀' || r[2] != ' ' {
		t.Errorf("upper left: %q", lines[1])
	}
	if r := []rune(lines[Height/2]); r[Width] != '▄' {
		t.Errorf("lower right: %q", lines[Height/2])
	}
	if r := []rune(lines[2]); r[6] != '▀' {
		t.Errorf("two cells in one character: %q", lines[2])
	}
}
