//go:build linux

package transfer

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestPowerCut copies the receiving disk at random moments, as a power cut at that moment would leave it: files with
// a receipt are present and complete, nothing else has a final name, and running transfers resume.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	missing := t.Skipf
	if os.Getenv("MULTIPEER_FULL") != "" {
		missing = t.Fatalf
	}
	if os.Getuid() != 0 {
		t.Skip("mounting needs root")
	}
	tested := 0
	for _, fs := range []struct{ name, mkfs, options, again string }{
		{"ext4", "mkfs.ext4 -q -F", "commit=300", "noatime"},
		{"xfs", "mkfs.xfs -q -f", "noatime", "nouuid"},
	} {
		if _, err := exec.LookPath(strings.Fields(fs.mkfs)[0]); err != nil {
			t.Logf("no %s here", fs.name)
			continue
		}
		t.Run(fs.name, func(t *testing.T) { powerCuts(t, fs.mkfs, fs.options, fs.again) })
		tested++
	}
	if tested == 0 {
		missing("no file system to test with")
	}
}

func command(t *testing.T, format string, a ...any) {
	t.Helper()
	args := strings.Fields(fmt.Sprintf(format, a...))
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %v: %s", args, err, out)
	}
}

func powerCuts(t *testing.T, mkfs, options, again string) {
	points := 8
	if n, err := strconv.Atoi(os.Getenv("MULTIPEER_POWER_CUTS")); err == nil {
		points = n
	}
	work, err := os.MkdirTemp("/dev/shm", "power")
	if err != nil {
		t.Skip(err)
	}
	defer os.RemoveAll(work)
	image, copied := filepath.Join(work, "image"), filepath.Join(work, "copy")
	disk, after := filepath.Join(work, "disk"), filepath.Join(work, "after")
	for _, d := range []string{disk, after} {
		if err := os.Mkdir(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	command(t, "truncate -s 400M %s", image)
	command(t, "%s %s", mkfs, image)
	command(t, "mount -o loop,%s %s %s", options, image, disk)
	defer func() { _ = exec.Command("umount", "-l", disk).Run() }()

	src := mixed(t, 3, 300)
	want := tree(t, filepath.Dir(src))
	var power sync.RWMutex // held for writing while the disk is copied
	check := func(string, string) error { power.RLock(); defer power.RUnlock(); return nil }
	var mu sync.Mutex
	delivered, current := []string{}, ""
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			id := fmt.Sprintf("transfer%d", i)
			mu.Lock()
			current = id
			mu.Unlock()
			inbox := filepath.Join(disk, id)
			_ = os.Mkdir(inbox, 0o755)
			command(t, "sync -f %s", inbox) // the folder existed before
			a, b := newPipe()
			var wg sync.WaitGroup
			wg.Go(func() {
				_, _ = Receive(ctx, only(b), ReceiveOptions{Dir: inbox, ID: id, Key: "k", Reserve: -1, check: check})
			})
			_, err := Send(ctx, only(a), SendOptions{Paths: []string{src}})
			if err == nil {
				mu.Lock()
				delivered = append(delivered, id)
				mu.Unlock()
			} else if ctx.Err() == nil {
				t.Error(err)
			}
			wg.Wait()
			if i >= 6 { // makes room for the next ones
				mu.Lock()
				if old := fmt.Sprintf("transfer%d", i-6); len(delivered) > 0 && delivered[0] == old {
					delivered = delivered[1:]
					_ = os.RemoveAll(filepath.Join(disk, old))
				}
				mu.Unlock()
			}
		}
	}()
	dice := rand.New(rand.NewPCG(5, 6))
	kept, resumed, saved := 0, 0, int64(0)
	for point := range points {
		time.Sleep(time.Duration(dice.IntN(500)) * time.Millisecond)
		mu.Lock()
		receipted, under := append([]string(nil), delivered...), current
		power.Lock()
		time.Sleep(30 * time.Millisecond)   // lets pending system work finish
		copied := fmt.Sprint(copied, point) // a fresh name: a loop device that is still held would be reused
		command(t, "cp --sparse=always %s %s", image, copied)
		power.Unlock()
		mu.Unlock()
		command(t, "mount -o loop,%s %s %s", again, copied, after)
		for _, id := range receipted {
			if got := visible(t, filepath.Join(after, id)); !maps.Equal(got, want) {
				t.Errorf("point %d: %s was receipted, and %d of %d entries are complete", point, id, len(got), len(want))
			}
			kept++
		}
		inbox := filepath.Join(after, under)
		if _, err := os.Stat(inbox); err == nil {
			if got := visible(t, inbox); len(got) != 0 && !maps.Equal(got, want) {
				t.Errorf("point %d: under a final name and not complete: %d entries", point, len(got))
			}
			// Sent: the receiver's disk can have the receipt already that the power cut kept from the sender.
			sent, got, sendErr, recvErr := attempt(t, SendOptions{Paths: []string{src}, Sent: true}, ReceiveOptions{Dir: inbox, ID: under, Key: "k", Reserve: -1, boot: fmt.Sprint("after ", point)}, 1<<40)
			switch {
			case sendErr != nil || recvErr != nil:
				t.Errorf("point %d: it did not continue: %v, %v", point, sendErr, recvErr)
			default:
				found := visible(t, inbox)
				delete(found, "src (2)") // it was delivered together with its receipt, so this is a second delivery
				for p := range found {
					if strings.HasPrefix(p, "src (2)/") {
						delete(found, p)
					}
				}
				if !maps.Equal(found, want) {
					t.Errorf("point %d: it continued, and %d of %d entries are complete", point, len(found), len(want))
				}
				resumed++
				saved += got.Bytes - sent.Moved
			}
		}
		unmount(t, after)
		_ = os.Remove(copied)
	}
	cancel()
	<-done
	if kept == 0 || resumed == 0 {
		t.Errorf("%d receipted transfers were looked at, %d continued", kept, resumed)
	}
	t.Logf("%d power cuts: %d receipted transfers were there and whole, %d continued, %.1f MB of which were not sent again", points, kept, resumed, float64(saved)/1e6)
}

// unmount retries for two seconds, because other processes may have the disk open: a forked child of another test has
// our files until it calls exec, and system services look at new disks.
func unmount(t *testing.T, dir string) {
	t.Helper()
	var out []byte
	var err error
	for range 40 {
		if out, err = exec.Command("umount", dir).CombinedOutput(); err == nil {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("umount %s: %v: %s", dir, err, out)
}
