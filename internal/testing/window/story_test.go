//go:build linux

package window

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestStory plays a day of two people, each with a window and their own profile, in light and in dark mode, and for
// pictures also in high contrast.
func TestStory(t *testing.T) {
	themes := []string{"light", "dark"}
	if os.Getenv("MULTIPEER_PICTURES") != "" {
		themes = append(themes, contrast)
	}
	for _, theme := range themes {
		t.Run(theme, func(t *testing.T) {
			t.Parallel() // the programs mostly wait
			story(t, newDesk(t, theme))
		})
		if testing.Short() {
			return
		}
	}
}

func write(t *testing.T, path, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func story(t *testing.T, d *desk) {
	anna := d.start("Anna")
	anna.picture("nobody")
	ben := d.start("Ben")
	anna.saw(`EVT peer "Ben"`)
	ben.saw(`EVT peer "Anna"`)

	anna.picture("nearby")
	phoneSends(t, anna)
	dropsBeforeAnyoneIsChosen(t, d, anna, ben)

	// A first message asks to connect, and is delivered once that is accepted.
	anna.click("row:Ben")
	anna.saw(`EVT chosen Ben`)
	anna.click("entry")
	anna.typed("Have you got the photos from Sunday?")
	anna.press("Return")
	anna.saw(`EVT send "Have you got the photos from Sunday\?"`)
	ben.saw(`EVT invitation from "Anna"`)
	ben.picture("invitation")
	ben.click("connect-accept")
	anna.saw(`EVT connected "Ben"`)
	anna.saw(`Delivered "Have you got`)
	ben.saw(`EVT message "Have you got the photos from Sunday\?" from Anna`)
	ben.click("entry")
	ben.typed("Not yet. Just drop them here, the whole folder is fine: I have space for all of it.")
	ben.press("Return")
	ben.saw(`Delivered "Not yet`)

	verify(d, anna, ben)
	folderArrives(t, d, anna, ben)
	fileIsHeld(t, d, anna, ben)
	declinedAndCancelled(t, d, anna, ben)
	restart(t, d, anna, ben)
	secondLaunch(t, d, anna, ben)
	besideTheWindow(t, d, anna, ben)
	rest(d, anna)
	kickAndBlock(d, anna, ben)

	anna.close()
	ben.close()
}

// dropsBeforeAnyoneIsChosen drops a file on the tile of a device.
func dropsBeforeAnyoneIsChosen(t *testing.T, d *desk, anna, ben *window) {
	anna.drop("tile:Ben", write(t, filepath.Join(d.dir, "dropped-on-a-tile.txt"), "x"))
	anna.saw(`EVT chosen Ben`)
	ben.saw(`EVT transfer "dropped-on-a-tile.txt" offered incoming=true`)
	ben.click("banner-show")
	ben.click("offer:Decline")
	anna.saw(`EVT transfer "dropped-on-a-tile.txt" declined incoming=false`)
}

// verify makes both verify each other: the code shown on one screen is chosen on the other.
func verify(d *desk, anna, ben *window) {
	anna.click("verify")
	anna.saw(`EVT pairing "Ben" waiting`)
	ben.click("verify")
	anna.saw(`EVT pairing "Ben" compare`)
	ben.saw(`EVT pairing "Anna" compare`)
	shows, picks := anna, ben
	code := regexp.MustCompile(`EVT pairing "\w+" compare(\d{3} \d{3})`)
	if !code.MatchString(shows.lines()) {
		shows, picks = ben, anna
	}
	shows.picture("verify-shows")
	picks.picture("verify-picks")
	picks.click("pair:" + code.FindStringSubmatch(shows.lines())[1])
	shows.click("pair:Yes, it's selected")
	anna.saw(`EVT pairing "Ben" done`)
	ben.saw(`EVT pairing "Anna" done`)
}

// folderArrives drops a folder with odd names on the conversation.
func folderArrives(t *testing.T, d *desk, anna, ben *window) {
	folder := filepath.Join(d.dir, "Sunday #1 äöü 100%")
	files := map[string]string{"a+b%.txt": "plus and percent", "sub/日本.txt": "text"}
	for name, content := range files {
		write(t, filepath.Join(folder, name), content)
	}
	anna.drop("timeline", folder)
	anna.saw(`EVT offered`)
	ben.saw(`EVT transfer "Sunday #1 äöü 100%" offered incoming=true`)
	ben.picture("offer")
	ben.click("accept")
	anna.saw(`EVT transfer "Sunday #1 äöü 100%" delivered incoming=false`)
	ben.saw(`EVT transfer "Sunday #1 äöü 100%" delivered incoming=true`)
	for name, content := range files {
		if b, err := os.ReadFile(filepath.Join(ben.home, "Downloads", filepath.Base(folder), name)); err != nil || string(b) != content {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
}

// fileIsHeld drops a large file on a row of the list, pauses and resumes it, and compares what arrives.
func fileIsHeld(t *testing.T, d *desk, anna, ben *window) {
	large := filepath.Join(d.dir, "holiday-video.mp4")
	content := bytes.Repeat([]byte("0123456789abcdef"), 1<<30/16)
	if err := os.WriteFile(large, content, 0o644); err != nil {
		t.Fatal(err)
	}
	anna.drop("row:Ben", large)
	ben.saw(`EVT transfer "holiday-video.mp4" offered incoming=true`)
	ben.click("accept")
	anna.saw(`EVT transfer "holiday-video.mp4" moving incoming=false`)
	anna.clickNow("hold")
	anna.saw(`EVT transfer "holiday-video.mp4" paused incoming=false`)
	ben.saw(`EVT transfer "holiday-video.mp4" paused incoming=true`)
	anna.picture("paused")
	anna.click("hold")
	ben.saw(`EVT transfer "holiday-video.mp4" delivered incoming=true`)
	b, err := os.ReadFile(filepath.Join(ben.home, "Downloads", "holiday-video.mp4"))
	if err != nil || !bytes.Equal(content, b) {
		t.Errorf("the large file differs: %v", err)
	}
	picture := write(t, filepath.Join(d.dir, "lake.png"), "")
	d.tool("python3", "-c", `import sys,zlib,struct
w,h=1200,800
rows=b''.join(b'\0'+b''.join(bytes((40+x*80//w,110+y*90//h,200-y*120//h)) for x in range(w)) for y in range(h))
def chunk(k,d): return struct.pack('>I',len(d))+k+d+struct.pack('>I',zlib.crc32(k+d))
open(sys.argv[1],'wb').write(b'\x89PNG\r\n\x1a\n'+chunk(b'IHDR',struct.pack('>IIBBBBB',w,h,8,2,0,0,0))+chunk(b'IDAT',zlib.compress(rows))+chunk(b'IEND',b''))`, picture)
	anna.drop("timeline", picture)
	ben.saw(`EVT transfer "lake.png" offered incoming=true`)
	ben.click("accept")
	ben.saw(`EVT transfer "lake.png" delivered incoming=true`)
	ben.saw(`EVT picture "lake.png"`)
	ben.picture("received")
	anna.picture("conversation")
	draggedOut(t, d, ben)
	photosArrive(t, d, anna, ben, picture)
}

// draggedOut drags a received picture onto the window of another program.
func draggedOut(t *testing.T, d *desk, ben *window) {
	ben.front() // before the target, which must be on top
	target := exec.Command("/usr/bin/python3", "testdata/xdnd_target.py", "1000", "300")
	target.Env = append(os.Environ(), "DISPLAY="+d.display)
	out, err := target.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := target.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the target: %q, %v", lines.Text(), lines.Err())
	}
	x, y := ben.settled("picture")
	d.tool("xdotool", "mousemove", "--window", ben.id, strconv.Itoa(x), strconv.Itoa(y), "mousedown", "1")
	for _, to := range [][2]int{{x + 20, y}, {950, 300}, {1050, 380}, {1100, 400}} {
		d.tool("xdotool", "mousemove", strconv.Itoa(to[0]), strconv.Itoa(to[1]))
		time.Sleep(300 * time.Millisecond)
	}
	d.keepScreen("drag-out")
	d.tool("xdotool", "mouseup", "1")
	var dropped []string
	for lines.Scan() {
		dropped = append(dropped, lines.Text())
	}
	if err := target.Wait(); err != nil {
		t.Fatalf("the target: %v", err)
	}
	if want := filepath.Join(ben.home, "Downloads", "lake.png"); len(dropped) != 1 || dropped[0] != want {
		t.Errorf("%q was dropped, want %q", dropped, want)
	}
	ben.saw(`EVT dragged \["lake.png"\]`)
}

// photosArrive drops five photos at once, which arrive as an album.
func photosArrive(t *testing.T, d *desk, anna, ben *window, photo string) {
	content, err := os.ReadFile(photo)
	if err != nil {
		t.Fatal(err)
	}
	var photos []string
	for i := range 5 {
		photos = append(photos, write(t, filepath.Join(d.dir, fmt.Sprintf("photo-%d.png", i)), string(content)))
	}
	anna.drop("timeline", photos...)
	ben.saw(`EVT transfer "photo-0.png and 4 more" offered incoming=true`)
	ben.click("accept")
	ben.saw(`EVT transfer "photo-0.png and 4 more" delivered incoming=true`)
	for i := range photos {
		ben.saw(fmt.Sprintf(`EVT picture "photo-%d.png"`, i))
	}
	ben.picture("album")
}

// declinedAndCancelled offers a file that the other side declines, and one that this side withdraws.
func declinedAndCancelled(t *testing.T, d *desk, anna, ben *window) {
	anna.drop("timeline", write(t, filepath.Join(d.dir, "unwanted.txt"), "x"))
	ben.saw(`EVT transfer "unwanted.txt" offered incoming=true`)
	ben.click("offer:Decline")
	anna.saw(`EVT transfer "unwanted.txt" declined incoming=false`)
	anna.drop("timeline", write(t, filepath.Join(d.dir, "mistaken.txt"), "x"))
	ben.saw(`EVT transfer "mistaken.txt" offered incoming=true`)
	anna.click("stop")
	ben.saw(`EVT transfer "mistaken.txt" cancelled incoming=true`)
	anna.picture("declined")
	for _, name := range []string{"unwanted.txt", "mistaken.txt"} {
		if _, err := os.Stat(filepath.Join(ben.home, "Downloads", name)); err == nil {
			t.Errorf("%s was kept", name)
		}
	}
}

// restart ends Ben's window. Messages that Anna sends in the meantime are queued, and arrive when Ben is back; Ben
// still sees the old ones.
func restart(t *testing.T, d *desk, anna, ben *window) {
	ben.close()
	anna.saw(`EVT lost "Ben"`)
	anna.click("entry")
	anna.typed("Are you there?")
	anna.press("Return")
	anna.saw(`EVT send "Are you there\?"`)
	time.Sleep(300 * time.Millisecond)
	anna.picture("waits-for-peer")
	ben.open()
	ben.saw(`EVT message "Are you there\?" from Anna`)
	anna.saw(`Delivered "Are you there`)
	ben.click("search")
	ben.typed("sunday")
	ben.saw(`EVT found [1-9]`)
	ben.picture("search")
	ben.click("hit:0")
	ben.saw(`EVT chosen Anna`)
	ben.press("ctrl+f")
	d.tool("xdotool", "key", "Escape")
	ben.saw(`EVT found 0`)
	if n := strings.Count(ben.lines(), "EVT message"); n != 1 {
		t.Errorf("%d messages came after the restart, 1 was new", n)
	}
}

// secondLaunch starts the program again with a path: the open window takes over the path.
func secondLaunch(t *testing.T, d *desk, anna, ben *window) {
	path := write(t, filepath.Join(d.dir, "from-the-file-manager.txt"), "launched")
	second := anna.command(path)
	began := time.Now()
	if out, err := output(second); err != nil {
		t.Fatalf("the second start: %v: %s", err, out)
	}
	t.Logf("the second start took %v", time.Since(began).Round(time.Millisecond))
	anna.saw(`EVT launched with .*from-the-file-manager.txt`)
	anna.click("tile:Ben")
	anna.picture("launched-with-a-path")
	anna.click("send-to")
	ben.saw(`EVT transfer "from-the-file-manager.txt" offered incoming=true`)
	if ben.firstOf("newest", "accept") == "newest" { // the search has left Ben at an old row; a large window shows all
		ben.click("newest")
	}
	ben.click("accept")
	ben.saw(`EVT transfer "from-the-file-manager.txt" delivered incoming=true`)
}

// besideTheWindow: a command of the command-line tool, with the profile of an open window, runs in that window.
func besideTheWindow(t *testing.T, d *desk, anna, ben *window) {
	path := write(t, filepath.Join(d.dir, "from-the-terminal.txt"), "typed")
	send := exec.Command(d.cli, "--profile", filepath.Join(anna.home, "profile"), "send", "--to", "Ben", filepath.Base(path))
	send.Dir = d.dir
	said := make(chan string, 1)
	go func() {
		out, err := output(send)
		said <- fmt.Sprintf("%v %s", err, out)
	}()
	anna.saw(`EVT transfer "from-the-terminal.txt" offered incoming=false`)
	ben.saw(`EVT transfer "from-the-terminal.txt" offered incoming=true`)
	ben.click("accept")
	anna.saw(`EVT transfer "from-the-terminal.txt" delivered incoming=false`)
	if s := <-said; !strings.HasPrefix(s, "<nil>") || !strings.Contains(s, "delivered from-the-terminal.txt") {
		t.Errorf("send while the window runs: %s", s)
	}
	history := exec.Command(d.cli, "--profile", filepath.Join(anna.home, "profile"), "history", "--with", "Ben")
	if out, err := output(history); err != nil || !strings.Contains(out, "to Ben: from-the-terminal.txt, 5 B (delivered)") {
		t.Errorf("history while the window runs: %v %s", err, out)
	}
}

// rest opens the pages and lists that no other step shows.
func rest(d *desk, anna *window) {
	anna.press("ctrl+t")
	anna.saw(`EVT transfers [1-9]`)
	anna.picture("transfers")
	anna.press("ctrl+comma")
	anna.saw(`EVT settings`)
	anna.picture("settings")
	anna.restPictures("settings")
	anna.press("ctrl+slash")
	anna.saw(`EVT shortcuts`)
	anna.picture("shortcuts")
	anna.click("ask:Close")
	anna.click("everyone")
	anna.saw(`EVT chosen everyone`)
	anna.click("entry")
	anna.typed("Lunch?")
	anna.press("Return")
	anna.saw(`Delivered to 1 device "Lunch`)
	anna.picture("everyone")
}

// kickAndBlock ends the session from the menu, and then blocks Ben.
func kickAndBlock(d *desk, anna, ben *window) {
	anna.click("row:Ben")
	anna.menuPictures("menu", "more")
	anna.click("more")
	anna.click("menu:Disconnect")
	anna.saw(`EVT disconnected "Ben"`)
	ben.saw(`EVT disconnected "Anna"`)
	anna.click("more")
	anna.click("menu:Block…")
	anna.saw(`EVT ask "Block Ben\?"`)
	anna.picture("block")
	anna.click("ask:Block")
	anna.saw(`EVT trust "Ben" "blocked"`)
	time.Sleep(500 * time.Millisecond)
	anna.picture("blocked")
}

// TestEnd_NeverHangs: a window ends at SIGINT, however busy the machine is. On one processor, Fyne's own way to end its
// loop hangs about once in sixty times.
func TestEnd_NeverHangs(t *testing.T) {
	d := newDesk(t, "light")
	w := &window{d: d, home: filepath.Join(d.dir, "Anna"), trace: "events", oneCPU: true}
	ends := 60
	if testing.Short() {
		ends = 5
	}
	for range ends {
		w.openNow()
		w.saw("EVT shown")
		w.close()
		if t.Failed() {
			return
		}
	}
}
