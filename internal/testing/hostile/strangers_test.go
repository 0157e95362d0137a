//go:build linux

package hostile

import (
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"multipeer/engine/enginetest"
)

// TestServe_StrangersFillNeitherMemoryNorDisk: devices that keep changing their keys offer files to `multipeer-cli
// serve`, where no one answers, for 20 seconds, or for as long as MULTIPEER_STRANGERS says. Memory, the profile on disk
// and the log stay small.
func TestServe_StrangersFillNeitherMemoryNorDisk(t *testing.T) {
	length := 20 * time.Second
	if s := os.Getenv("MULTIPEER_STRANGERS"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	cli := filepath.Join(dir, "multipeer-cli")
	build := exec.Command("go", "build", "-o", cli, "multipeer/cmd/multipeer-cli")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
	profile, logged := filepath.Join(dir, "profile"), filepath.Join(dir, "log")
	log, err := os.Create(logged)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	port := freePort(t)
	service = enginetest.Service()
	serve := exec.Command(cli, "--interface", "lo", "--service", service, "--port", fmt.Sprint(port), "--profile", profile,
		"serve", "--accept", "auto", "--into", filepath.Join(dir, "inbox"))
	serve.Stdout, serve.Stderr = log, log
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	v := &victim{t: t, dir: dir, port: port, cmd: serve}
	t.Cleanup(func() { _ = serve.Process.Kill(); _ = serve.Wait() })
	names := `"` + strings.Join(strangeNames(), `","`) + `"`
	offered, next := 0, time.Now()
	for end := time.Now().Add(length); time.Now().Before(end); {
		a := v.attacker("stranger" + strings.Repeat("\u0085", 60))
		if err := a.greet(); err == nil {
			for range 2 {
				if a.say(fmt.Sprintf(`{"type":"offer","id":%q,"names":[%s],"items":20,"files":20,"folders":0,"bytes":20,"attempt":1}`, hexID(), names)) == nil {
					offered++
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		a.close()
		if time.Now().After(next) {
			next = time.Now().Add(max(length/10, 5*time.Second))
			t.Logf("%6d offers: memory %d MB, profile %d kB, log %d kB", offered, v.resident()>>20, folderSize(profile)>>10, fileSize(logged)>>10)
		}
	}
	memory, kept, said := v.resident(), folderSize(profile), fileSize(logged)
	t.Logf("%6d offers: memory %d MB, profile %d kB, log %d kB", offered, memory>>20, kept>>10, said>>10)
	if offered < 50 {
		t.Errorf("only %d offers were made", offered)
	}
	if memory > 100<<20 || kept > 4<<20 || said > 1<<20 {
		t.Error("strangers fill something")
	}
}

// strangeNames returns 20 names that become six times as long when they are displayed.
func strangeNames() []string {
	var out []string
	for i := range 20 {
		out = append(out, fmt.Sprint(i)+strings.Repeat("\u0085", 400))
	}
	return out
}

func freePort(t *testing.T) int {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port
}

func folderSize(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			n += fileSize(p)
		}
		return nil
	})
	return n
}

func fileSize(p string) int64 {
	info, err := os.Stat(p)
	if err != nil {
		return 0
	}
	return info.Size()
}

// resident returns the resident memory of the victim's process.
func (v *victim) resident() int64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", v.cmd.Process.Pid))
	if err != nil {
		v.t.Fatal(err)
	}
	var all, resident int64
	if _, err := fmt.Sscan(string(b), &all, &resident); err != nil {
		v.t.Fatal(err)
	}
	return resident * int64(os.Getpagesize())
}
