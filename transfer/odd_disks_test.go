package transfer

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// TestDiskSpace_UnknownIsNoLimit: a disk that reports 0 blocks, such as a memory file system, is no full disk.
func TestDiskSpace_UnknownIsNoLimit(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no file system without blocks is known here")
	}
	d, err := os.Open("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, total, err := diskSpace(d); err != nil || total != 0 {
		t.Fatalf("/proc has %d bytes, %v", total, err)
	}
	if err := checkSpace(d, 1<<40, 0); err != nil {
		t.Error(err)
	}
	if free, err := FreeSpace("/proc"); err == nil {
		t.Errorf("%d bytes are free", free)
	}
}

// TestReceive_WaitsForItsQuota: a user's quota that is used up makes the transfer wait, as a full disk does.
func TestReceive_WaitsForItsQuota(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), strings.Repeat("a", 300<<10))
	began := time.Now()
	var refused atomic.Int32
	check := func(op, _ string) error {
		if op == "write" && time.Since(began) < time.Second {
			refused.Add(1)
			return syscall.EDQUOT
		}
		return nil
	}
	_, got, sendErr, recvErr := run(t, t.Context(), []string{filepath.Join(src, "a")}, ReceiveOptions{Dir: dst, ID: "x", check: check})
	if sendErr != nil || recvErr != nil || got.Files != 1 || refused.Load() == 0 {
		t.Errorf("%v, %v, %+v after %d refusals", sendErr, recvErr, got, refused.Load())
	}
}

// TestSource_FilesWithoutASize: files that report 0 bytes and have content are left out of a folder with that reason, and not
// delivered empty.
func TestSource_FilesWithoutASize(t *testing.T) {
	const src = "/proc/sys/kernel/random"
	if b, err := os.ReadFile(src + "/boot_id"); err != nil || len(b) == 0 {
		t.Skip("no such files here")
	}
	dst := t.TempDir()
	sent, got, sendErr, recvErr := run(t, t.Context(), []string{src}, ReceiveOptions{Dir: dst, ID: "x"})
	if recvErr == nil && got.Files != 0 || sent.LeftOut == 0 || sent.LeftOut != got.LeftOut {
		t.Fatalf("%+v, %v; %+v, %v", sent, sendErr, got, recvErr)
	}
	for _, n := range sent.Notes {
		if n.Path == "random/boot_id" && !errors.Is(n.Err, ErrUnsized) {
			t.Errorf("%s: %v", n.Path, n.Err)
		}
	}
	for name, content := range filesOf(visible(t, dst)) {
		t.Errorf("%s arrived with %q", name, content)
	}
}

// TestCheckFolder_SaysWhatIsWrong checks a folder in which nothing can be created.
func TestCheckFolder_SaysWhatIsWrong(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("no such folder is known here")
	}
	err := CheckFolder("/proc")
	if err == nil || !strings.Contains(err.Error(), "cannot receive into the folder /proc") {
		t.Error(err)
	}
}

// TestPortable_NamesThatActAreInert lists the names and types that act when they are only listed, as they are documented
// elsewhere, at the top and in folders.
func TestPortable_NamesThatActAreInert(t *testing.T) {
	names := strings.Fields(`desktop.ini Desktop.INI autorun.inf .directory .git .hg .sl .jj HEAD head commondir gitdir config.worktree git~1 HG~12`)
	for ext := range strings.FieldsSeq(`.lnk .url .website .pif .scf .library-ms .search-ms .searchConnector-ms .theme .themepack
		.deskthemepack .appref-ms .settingcontent-ms .desktop .directory .kdelnk .terminal .command .tool .app .inetloc .webloc .fileloc
		.ftploc .afploc .mailloc .vncloc .{ED7BA470-8E54-465E-825C-99712043E01C}`) {
		names = append(names, "x"+ext, "X"+strings.ToUpper(ext), "x y"+ext, "\u00e9"+ext)
	}
	for _, name := range names {
		for _, top := range []bool{true, false} {
			got := portable(name, top, maxName)
			if top && name[0] == '.' && got == "_"+name[1:] {
				continue // it is no longer that name
			}
			if got != name+InertSuffix {
				t.Errorf("%q (top %v) is saved as %q", name, top, got)
			}
		}
	}
	for _, name := range []string{"photo.jpg", "git", "my.application", "theme.css", "url.txt", "HEADER", ".gitignore"} {
		if got := portable(name, false, maxName); got != name {
			t.Errorf("%q is saved as %q", name, got)
		}
	}
}
