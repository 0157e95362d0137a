package transfer

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

// openIntake opens an Intake into a new folder and closes it at the end of the test.
func openIntake(t *testing.T, opts IntakeOptions) (*Intake, string) {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = t.TempDir()
	}
	if opts.Reserve == 0 {
		opts.Reserve = -1
	}
	in, err := OpenIntake(opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(in.Close)
	return in, opts.Dir
}

// names lists what is in a folder, and below it, without the staging folder.
func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Name() == PartialDir {
			return filepath.SkipDir
		}
		if !d.IsDir() {
			rel, _ := filepath.Rel(dir, p)
			out = append(out, filepath.ToSlash(rel))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(out)
	return out
}

func sumOf(b []byte) []byte {
	sum := sha256.Sum256(b)
	return sum[:]
}

// TestIntake_ParallelStreamsArrive checks that many streams at once, of a tree and of single files, arrive with their
// times, and that an existing folder is left alone.
func TestIntake_ParallelStreamsArrive(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "photos"), 0o755); err != nil {
		t.Fatal(err)
	}
	in, _ := openIntake(t, IntakeOptions{Dir: dir})
	when := time.Date(2020, 5, 17, 10, 0, 0, 0, time.UTC)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			content := bytes.Repeat([]byte{byte(i)}, i*1000)
			name := fmt.Sprintf("photos/%d/%d.jpg", i%7, i)
			if i%10 == 0 {
				name = fmt.Sprintf("%d.txt", i)
			}
			p := Part{Path: name, Size: int64(len(content)), ModTime: when, SHA256: sumOf(content)}
			saved, err := in.Receive(t.Context(), p, iotest.HalfReader(bytes.NewReader(content)))
			if err != nil {
				t.Error(err)
				return
			}
			got, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(saved)))
			if err != nil || !bytes.Equal(got, content) {
				t.Errorf("%s: %d bytes, %v", saved, len(got), err)
			}
			if info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(saved))); err != nil || !info.ModTime().Equal(when) {
				t.Errorf("%s: %v, %v", saved, info, err)
			}
		})
	}
	wg.Wait()
	r, err := in.Finish()
	if err != nil || r.Files != 200 || r.Folders != 8 || r.LeftOut != 0 || len(r.Saved) != 21 {
		t.Errorf("%v, %+v", err, r.Totals)
	}
	if r.Renamed != 1 || r.Notes[0].Path != "photos" || r.Notes[0].Saved != "photos (2)" {
		t.Errorf("notes %+v", r.Notes)
	}
	in.Close()
	if _, err := os.Stat(filepath.Join(dir, PartialDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the staging folder is left: %v", err)
	}
}

// TestIntake_UnsafeNamesAreRefusedOrRewritten checks that nothing is written outside the folder, and that names that
// take effect when listed are made inert.
func TestIntake_UnsafeNamesAreRefusedOrRewritten(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	for name, want := range map[string]string{
		"../up": "", "/etc/passwd": "", "a/../../b": "", "": "", "a//b": "", "x\x00y": "", strings.Repeat("d/", 40) + "f": "",
		`c:\windows\x`: "c__windows_x", ".bashrc": "_bashrc", "desktop.ini": "desktop.ini.inert", "con.txt": "_con.txt",
		"r/.git/config": "r/.git.inert/config", "evil\u202egpj.exe": "evil_gpj.exe", PartialDir + "/x": "_multipeer-partial/x",
	} {
		saved, err := in.Receive(t.Context(), Part{Path: name, Size: 1}, strings.NewReader("x"))
		if saved != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v", name, saved, err)
		}
	}
	for _, n := range names(t, filepath.Dir(dir)) {
		if !strings.HasPrefix(n, filepath.Base(dir)+"/") {
			t.Errorf("outside the folder: %s", n)
		}
	}
}

// TestIntake_OnlyWholeFilesGetTheirNames checks streams that lie about their size or digest, or break.
func TestIntake_OnlyWholeFilesGetTheirNames(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		p    Part
		r    io.Reader
		want error
	}{
		"short":        {Part{Path: "short", Size: 10}, strings.NewReader("123456789"), ErrInterrupted},
		"long":         {Part{Path: "long", Size: 10}, strings.NewReader("12345678901"), ErrTooMuch},
		"empty, long":  {Part{Path: "empty", Size: 0}, strings.NewReader("1"), ErrTooMuch},
		"breaks":       {Part{Path: "breaks", Size: 10}, io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(broken)), broken},
		"negative":     {Part{Path: "negative", Size: -2}, strings.NewReader(""), ErrProtocol},
		"wrong digest": {Part{Path: "digest", Size: 3, SHA256: sumOf([]byte("abd"))}, strings.NewReader("abc"), ErrDigest},
		"from nowhere": {Part{Path: "nowhere", Size: 10, From: 5}, strings.NewReader("67890"), ErrProtocol},
	} {
		if saved, err := in.Receive(t.Context(), c.p, c.r); saved != "" || !errors.Is(err, c.want) {
			t.Errorf("%s: %q, %v", name, saved, err)
		}
	}
	if got := names(t, dir); len(got) > 0 {
		t.Errorf("there are %q", got)
	}
	r, err := in.Finish()
	if err != nil || r.Files != 0 || r.LeftOut != 6 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestIntake_BrokenStreamsResume checks that a part whose stream broke continues where it stopped, or from its start,
// and that a file with a wrong digest may come again.
func TestIntake_BrokenStreamsResume(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	content := bytes.Repeat([]byte("0123456789"), 100_000)
	for _, name := range []string{"continued", "again"} {
		p := Part{Path: name, Size: int64(len(content)), SHA256: sumOf(content)}
		if _, err := in.Receive(t.Context(), p, io.MultiReader(bytes.NewReader(content[:300_000]), iotest.ErrReader(io.ErrUnexpectedEOF))); !errors.Is(err, ErrInterrupted) {
			t.Fatal(err)
		}
		if n := in.Arrived(name); n != 300_000 {
			t.Errorf("%d bytes have arrived", n)
		}
		rest := content
		if name == "continued" {
			p.From, rest = 300_000, content[300_000:]
		}
		if _, err := in.Receive(t.Context(), p, bytes.NewReader(rest)); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if _, err := in.Receive(t.Context(), Part{Path: name, Size: p.Size}, bytes.NewReader(content)); !errors.Is(err, ErrPartBusy) {
			t.Errorf("twice: %v", err)
		}
	}
	p := Part{Path: "repaired", Size: 3, SHA256: sumOf([]byte("abc"))}
	for _, text := range []string{"abd", "abx", "abc"} {
		_, err := in.Receive(t.Context(), p, strings.NewReader(text))
		if (err == nil) != (text == "abc") {
			t.Errorf("%s: %v", text, err)
		}
	}
	if r, err := in.Finish(); err != nil || r.LeftOut != 0 || r.Files != 3 {
		t.Errorf("%v, %+v", err, r)
	}
}

// TestIntake_LimitsHold checks that no more arrives than was accepted, however many streams come at once.
func TestIntake_LimitsHold(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{Most: func() Totals { return Totals{Files: 3, Bytes: 100} }})
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := in.Receive(t.Context(), Part{Path: fmt.Sprint(i), Size: 30}, strings.NewReader(strings.Repeat("x", 30)))
			if err != nil && !errors.Is(err, ErrTooMuch) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("there are %q", got)
	}
	if _, err := in.Receive(t.Context(), Part{Path: "large", Size: 1 << 62}, strings.NewReader("")); err == nil {
		t.Error("a file of 4 EiB was admitted")
	}
}

// TestIntake_FoldersCount checks that files bring no more folders than were accepted.
func TestIntake_FoldersCount(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{Most: func() Totals { return Totals{Files: 100, Folders: 3, Bytes: 100} }})
	for _, name := range []string{"a/b/c/x", "a/b/c/y", "z"} {
		if _, err := in.Receive(t.Context(), Part{Path: name}, strings.NewReader("")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := in.Receive(t.Context(), Part{Path: "d/x"}, strings.NewReader("")); !errors.Is(err, ErrTooMuch) {
		t.Errorf("a fourth folder: %v", err)
	}
	if got := names(t, dir); len(got) != 3 {
		t.Errorf("there are %q", got)
	}
}

// TestIntake_NothingComesAfterFinish checks that what Finish returns is all that arrives.
func TestIntake_NothingComesAfterFinish(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	r, w := io.Pipe()
	slow := make(chan error, 1)
	go func() {
		_, err := in.Receive(t.Context(), Part{Path: "slow", Size: 2}, r)
		slow <- err
	}()
	_, _ = w.Write([]byte("x"))
	if result, err := in.Finish(); err != nil || result.Files != 0 {
		t.Errorf("%+v, %v", result, err)
	}
	_, _ = w.Write([]byte("x"))
	_ = w.Close()
	if err := <-slow; !errors.Is(err, ErrCancelled) {
		t.Errorf("a stream that ends later: %v", err)
	}
	if _, err := in.Receive(t.Context(), Part{Path: "late"}, strings.NewReader("")); !errors.Is(err, ErrCancelled) {
		t.Errorf("a late stream: %v", err)
	}
	if got := names(t, dir); len(got) != 0 {
		t.Errorf("there are %q", got)
	}
}

// TestIntake_UnknownSizeEndsWithTheStream checks files whose sender does not report their size: a complete stream is a
// complete file, a broken stream is not, and the limit holds.
func TestIntake_UnknownSizeEndsWithTheStream(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{Most: func() Totals { return Totals{Files: 10, Bytes: 100} }})
	saved, err := in.Receive(t.Context(), Part{Path: "whole", Size: Unknown}, strings.NewReader(strings.Repeat("x", 60)))
	if err != nil || saved != "whole" {
		t.Errorf("%q, %v", saved, err)
	}
	broken := io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := in.Receive(t.Context(), Part{Path: "broken", Size: Unknown}, broken); !errors.Is(err, ErrInterrupted) {
		t.Errorf("broken: %v", err)
	}
	if _, err := in.Receive(t.Context(), Part{Path: "more", Size: Unknown}, strings.NewReader(strings.Repeat("x", 60))); !errors.Is(err, ErrTooMuch) {
		t.Errorf("more: %v", err)
	}
	if got := names(t, dir); len(got) != 1 {
		t.Errorf("there are %q", got)
	}
}

// TestIntake_LeavesTheReserve checks that a stream of unknown size does not fill the disk.
func TestIntake_LeavesTheReserve(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("free space is not asked for there")
	}
	dir := t.TempDir()
	free, err := FreeSpace(dir)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := openIntake(t, IntakeOptions{Dir: dir, Reserve: int64(free) - 8<<20})
	random := io.LimitReader(rand.Reader, 64<<20)
	if _, err := in.Receive(t.Context(), Part{Path: "x", Size: Unknown}, random); !errors.Is(err, ErrDiskFull) {
		t.Errorf("64 MiB where 8 are free: %v", err)
	}
}

// TestIntake_DiskFaultsAreReportedAndCleanedUp checks disks that refuse operations.
func TestIntake_DiskFaultsAreReportedAndCleanedUp(t *testing.T) {
	for op, want := range map[string]struct {
		fault error
		err   error
		saved string
	}{
		"write":    {syscall.EDQUOT, ErrDiskFull, ""},
		"open":     {syscall.EROFS, ErrReadOnly, ""},
		"chtimes":  {syscall.EPERM, nil, "tree/file"},
		"link":     {syscall.EPERM, nil, "tree/file"},
		"truncate": {syscall.EIO, nil, "tree/file"},
	} {
		begun := false
		in, dir := openIntake(t, IntakeOptions{check: func(o, _ string) error {
			if begun && o == op {
				return want.fault
			}
			return nil
		}})
		begun = true
		saved, err := in.Receive(t.Context(), Part{Path: "tree/file", Size: 1}, strings.NewReader("x"))
		if saved != want.saved || !errors.Is(err, want.err) {
			t.Errorf("%s: %q, %v", op, saved, err)
		}
		begun = false
		if r, err := in.Finish(); err != nil || (want.saved == "") != (r.LeftOut == 1) || (op == "chtimes") != (r.Unkept == 1) {
			t.Errorf("%s: %v, %+v", op, err, r)
		}
		in.Close()
		if got := names(t, dir); (len(got) == 1) != (want.saved != "") {
			t.Errorf("%s: there are %q", op, got)
		}
		if _, err := os.Stat(filepath.Join(dir, PartialDir)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the staging folder is left: %v", op, err)
		}
	}
}

// TestIntake_NamesThatTheDiskRefuses checks that files and folders get names that the disk accepts.
func TestIntake_NamesThatTheDiskRefuses(t *testing.T) {
	refuse := refusingName(syscall.ENAMETOOLONG, func(base string) bool { return len(base) > 143 })()
	in, _ := openIntake(t, IntakeOptions{check: refuse})
	long := strings.Repeat("n", 200)
	saved, err := in.Receive(t.Context(), Part{Path: long + "/" + long + ".txt", Size: 1}, strings.NewReader("x"))
	if err != nil || len(saved) > 2*143+1 || !strings.HasSuffix(saved, ".txt") {
		t.Errorf("%q, %v", saved, err)
	}
}

// TestIntake_FolderThatWasReplacedIsLeftAlone checks that nothing is written to a folder that another user puts in
// place of ours.
func TestIntake_FolderThatWasReplacedIsLeftAlone(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	for _, name := range []string{"one", "two"} {
		if _, err := in.Receive(t.Context(), Part{Path: "album/" + name, Size: 1}, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if name == "one" {
			if err := os.Rename(filepath.Join(dir, "album"), filepath.Join(dir, "moved")); err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(filepath.Join(dir, "album"), 0o755); err != nil {
				t.Fatal(err)
			}
		}
	}
	if got, want := names(t, dir), []string{"album (2)/two", "moved/one"}; !slices.Equal(got, want) {
		t.Errorf("there are %q", got)
	}
}

// TestIntake_LeftoversOfACrashAreRemoved checks that the data of a program that crashed is removed after a week.
func TestIntake_LeftoversOfACrashAreRemoved(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	broken := io.MultiReader(strings.NewReader("12345"), iotest.ErrReader(io.ErrUnexpectedEOF))
	if _, err := in.Receive(t.Context(), Part{Path: "file", Size: 10}, broken); !errors.Is(err, ErrInterrupted) {
		t.Fatal(err)
	}
	left := filepath.Join(dir, PartialDir, in.stage.id)
	if _, err := os.Stat(filepath.Join(left, dataDir, "file")); err != nil {
		t.Fatal(err)
	}
	in.stage.close() // the program dies
	in.closed = true
	for _, age := range []time.Duration{6, 8} {
		when := time.Now().Add(-age * 24 * time.Hour)
		for _, name := range []string{journalName, "."} {
			if err := os.Chtimes(filepath.Join(left, name), when, when); err != nil {
				t.Fatal(err)
			}
		}
		forgetOrphanScans() // as a program that starts
		next, _ := openIntake(t, IntakeOptions{Dir: dir})
		next.Close()
		if _, err := os.Stat(left); (err == nil) != (age < 7) {
			t.Errorf("after %d days: %v", age, err)
		}
	}
}

// TestIntake_EndsWithItsContextOrClose checks that a stream that does not end is given up, and that Close is safe while
// streams are read.
func TestIntake_EndsWithItsContextOrClose(t *testing.T) {
	in, dir := openIntake(t, IntakeOptions{})
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	go func() {
		_, _ = w.Write([]byte("x"))
		cancel()
		_, _ = w.Write([]byte("y"))
	}()
	if _, err := in.Receive(ctx, Part{Path: "file", Size: 1 << 30}, r); !errors.Is(err, ErrInterrupted) {
		t.Errorf("ended: %v", err)
	}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			_, err := in.Receive(t.Context(), Part{Path: fmt.Sprint("part", i), Size: 1 << 24}, bytes.NewReader(make([]byte, 1<<24)))
			if err == nil {
				return
			}
			if !errors.Is(err, ErrCancelled) {
				t.Errorf("closed: %v", err)
			}
		})
	}
	time.Sleep(time.Millisecond)
	in.Close()
	wg.Wait()
	if _, err := in.Receive(t.Context(), Part{Path: "late", Size: 0}, strings.NewReader("")); !errors.Is(err, ErrCancelled) {
		t.Errorf("after Close: %v", err)
	}
	for _, n := range names(t, dir) {
		if info, err := os.Stat(filepath.Join(dir, n)); err != nil || info.Size() != 1<<24 {
			t.Errorf("%s is not complete: %v", n, err)
		}
	}
}

// slowly is a stream that brings a byte at a time.
type slowly struct {
	left  int
	every time.Duration
}

func (s *slowly) Read(b []byte) (int, error) {
	if s.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(s.every)
	s.left--
	b[0] = 'x'
	return 1, nil
}

// TestIntake_SlowStreamShowsProgress checks that a stream that brings little does not wait for a full buffer.
func TestIntake_SlowStreamShowsProgress(t *testing.T) {
	var seen []int64
	in, _ := openIntake(t, IntakeOptions{OnProgress: func(p Progress) { seen = append(seen, p.Bytes) }})
	defer in.Close()
	if _, err := in.Receive(t.Context(), Part{Path: "slow", Size: 30}, &slowly{30, 20 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	if len(seen) < 4 || seen[0] > 10 {
		t.Errorf("progress %d", seen)
	}
}

// TestIntake_LostDataStaysLost: the disk fails once while what has arrived is made durable. A second attempt may
// succeed, because the system has dropped the data, and must not count as success.
func TestIntake_LostDataStaysLost(t *testing.T) {
	failed := false
	in, _ := openIntake(t, IntakeOptions{check: func(op, name string) error {
		if op == "fsync" && name == "existing" && !failed {
			failed = true
			return errors.New("input/output error")
		}
		return nil
	}})
	if _, err := in.Receive(t.Context(), Part{Path: "a", Size: 5}, strings.NewReader("hello")); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if _, err := in.Finish(); err == nil {
			t.Errorf("attempt %d succeeds", i+1)
		}
	}
	if !failed {
		t.Error("the disk was not asked")
	}
}

// TestIntake_DiskErrorEndsALargeFileEarly: a large file is made durable while it arrives, and an error of a sync ends
// the file before the rest has arrived.
func TestIntake_DiskErrorEndsALargeFileEarly(t *testing.T) {
	in, _ := openIntake(t, IntakeOptions{check: func(op, _ string) error {
		if op == "fsync" {
			return syscall.EIO
		}
		return nil
	}})
	const size = 20 * syncAhead
	zeros := &io.LimitedReader{R: zeroReader{}, N: size}
	_, err := in.Receive(t.Context(), Part{Path: "large", Size: size}, zeros)
	if !errors.Is(err, ErrDisk) {
		t.Errorf("%v", err)
	}
	if zeros.N == 0 {
		t.Error("the error came at the end")
	}
}

type zeroReader struct{}

func (zeroReader) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

// TestIntake_MovedFileIsNoFailure: the user may move what has arrived while the rest still arrives.
func TestIntake_MovedFileIsNoFailure(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	in, err := OpenIntake(IntakeOptions{Dir: dir, Reserve: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for _, name := range []string{"a", "folder/b", "c"} {
		if _, err := in.Receive(t.Context(), Part{Path: name, Size: 1}, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"a", "folder"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(elsewhere, name)); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := in.Finish(); err != nil || r.Files != 3 || r.LeftOut != 0 {
		t.Errorf("%+v, %v", r, err)
	}
}
