package storezip

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/iotest"
	"time"
)

// contents are files in memory.
func contents(files map[string][]byte, order ...string) []File {
	var out []File
	for _, name := range order {
		f := File{Name: name, Size: int64(len(files[name])), ModTime: time.Date(2024, 2, 29, 12, 0, 2, 0, time.UTC)}
		if name[len(name)-1] != '/' {
			f.Open = func() (io.ReadCloser, error) { return readSeekCloser{bytes.NewReader(files[name])}, nil }
		}
		out = append(out, f)
	}
	return out
}

type readSeekCloser struct{ *bytes.Reader }

func (readSeekCloser) Close() error { return nil }

// TestArchive_IsReadByOthers checks an archive with archive/zip and, if they are installed, unzip, Python and Java.
func TestArchive_IsReadByOthers(t *testing.T) {
	files := map[string][]byte{"a.txt": []byte("hello"), "photos/": nil, "photos/ü €.jpg": bytes.Repeat([]byte("x"), 100_000), "empty": nil}
	order := []string{"a.txt", "photos/", "photos/ü €.jpg", "empty"}
	for i := range 2000 {
		name := fmt.Sprintf("many/%d", i)
		files[name] = []byte(name)
		order = append(order, name)
	}
	a := New(contents(files, order...))
	if err := iotest.TestReader(a.NewReader(t.Context()), readAll(t, a)); err != nil {
		t.Error(err)
	}
	b := readAll(t, a)
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != len(order) {
		t.Fatalf("%d entries", len(z.File))
	}
	for i, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil || f.Name != order[i] || !bytes.Equal(got, files[order[i]]) || !f.Modified.Equal(time.Date(2024, 2, 29, 12, 0, 2, 0, time.UTC)) {
			t.Errorf("%s: %d bytes, %v, %v", f.Name, len(got), f.Modified, err)
		}
	}
	path := filepath.Join(t.TempDir(), "a.zip")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	unpackers(t, path)
}

// unpackers has other programs test an archive.
func unpackers(t *testing.T, path string) {
	t.Helper()
	for _, args := range [][]string{
		{"unzip", "-tq", path},
		{"python3", "-c", "import sys, zipfile; sys.exit(zipfile.ZipFile(sys.argv[1]).testzip() is not None)", path},
		{"bsdtar", "-tf", path},
	} {
		if _, err := exec.LookPath(args[0]); err != nil {
			t.Logf("%s is not installed", args[0])
			continue
		}
		if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
			t.Errorf("%s: %v: %s", args[0], err, out)
		}
	}
	// From a stream, jar reads with java.util.zip.ZipInputStream, as Android does.
	if _, err := exec.LookPath("jar"); err == nil {
		if out, err := exec.Command("sh", "-c", "jar t < "+path).CombinedOutput(); err != nil {
			t.Errorf("jar: %v: %s", err, out)
		}
	}
}

func readAll(t *testing.T, a *Archive) []byte {
	t.Helper()
	r := a.NewReader(t.Context())
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != a.Size() {
		t.Fatalf("%d bytes of %d, %v", len(b), a.Size(), err)
	}
	return b
}

// TestReader_AnyRangeIsTheSame checks that a download can be resumed anywhere.
func TestReader_AnyRangeIsTheSame(t *testing.T) {
	files := map[string][]byte{}
	var order []string
	random := rand.New(rand.NewPCG(1, 2))
	for i := range 50 {
		name := fmt.Sprintf("dir/%d", i)
		b := make([]byte, random.IntN(3000))
		for j := range b {
			b[j] = byte(random.Uint32())
		}
		files[name] = b
		order = append(order, name)
	}
	a := New(contents(files, order...))
	whole := readAll(t, a)
	for range 500 {
		from := random.IntN(len(whole))
		n := random.IntN(len(whole) - from)
		r := a.NewReader(t.Context())
		if _, err := r.Seek(int64(from), io.SeekStart); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, n)
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, whole[from:from+n]) {
			t.Fatalf("bytes %d to %d differ: %v", from, from+n, err)
		}
		_ = r.Close()
	}
}

// zeros is a file of zeros of any size.
type zeros struct{ left int64 }

func (z *zeros) Read(b []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := min(int64(len(b)), z.left)
	clear(b[:n])
	z.left -= n
	return int(n), nil
}

func (z *zeros) Close() error { return nil }

// at reads an archive at offsets.
type at struct{ a *Archive }

func (r at) ReadAt(b []byte, off int64) (int, error) {
	reader := r.a.NewReader(context.Background())
	defer reader.Close()
	if _, err := reader.Seek(off, io.SeekStart); err != nil {
		return 0, err
	}
	return io.ReadFull(reader, b)
}

// seekableZeros are zeros that can be read at any offset.
type seekableZeros struct{ zeros }

func (z *seekableZeros) Seek(offset int64, _ int) (int64, error) {
	z.left -= offset
	return offset, nil
}

// TestArchive_FilesBehindFourGigabytes checks sizes and offsets that need Zip64, without reading the data in between.
func TestArchive_FilesBehindFourGigabytes(t *testing.T) {
	const large = 5 << 30
	files := contents(map[string][]byte{"first": []byte("one"), "last": []byte("two")}, "first", "last")
	a := New([]File{files[0], {Name: "large", Size: large, ModTime: time.Now(), Open: func() (io.ReadCloser, error) { return &seekableZeros{zeros{large}}, nil }}, files[1]})
	a.summed[1] = true // its checksum does not matter for this test
	z, err := zip.NewReader(at{a}, a.Size())
	if err != nil {
		t.Fatal(err)
	}
	if len(z.File) != 3 || z.File[1].UncompressedSize64 != large {
		t.Errorf("%d entries, one of %d bytes", len(z.File), z.File[1].UncompressedSize64)
	}
	for i, want := range map[int]string{0: "one", 2: "two"} {
		r, err := z.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(r); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", z.File[i].Name, got, err)
		}
	}
}

// TestArchive_Zip64 checks files over 4 GB, files behind 4 GB, and more than 65,535 files.
func TestArchive_Zip64(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 10 GB of zeros")
	}
	const large = 5 << 30
	var files []File
	add := func(name string, size int64) {
		files = append(files, File{Name: name, Size: size, ModTime: time.Now(), Open: func() (io.ReadCloser, error) { return &zeros{size}, nil }})
	}
	add("first", 10)
	add("large", large)
	for i := range 70_000 {
		add(fmt.Sprint("small/", i), 1)
	}
	a := New(files)
	path := filepath.Join(t.TempDir(), "large.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(sparse{f}, a.NewReader(t.Context())); err != nil || n != a.Size() {
		t.Fatalf("%d of %d, %v", n, a.Size(), err)
	}
	if err := f.Truncate(a.Size()); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := zip.OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	if len(z.File) != len(files) || z.File[1].UncompressedSize64 != large {
		t.Errorf("%d entries", len(z.File))
	}
	unpackers(t, path)
}

// sparse writes a file and leaves holes for zeros.
type sparse struct{ *os.File }

func (s sparse) Write(b []byte) (int, error) {
	if len(bytes.Trim(b, "\x00")) > 0 {
		return s.File.Write(b)
	}
	_, err := s.Seek(int64(len(b)), io.SeekCurrent)
	return len(b), err
}

func (s sparse) ReadFrom(r io.Reader) (int64, error) { return io.Copy(struct{ io.Writer }{s}, r) }

// TestReader_EndsWithItsContextAndClose checks that work on an archive ends with its reader, and that reading from a
// closed reader fails.
func TestReader_EndsWithItsContextAndClose(t *testing.T) {
	const huge = 1 << 40
	a := New([]File{{Name: "huge", Size: huge, Open: func() (io.ReadCloser, error) { return &zeros{huge}, nil }}})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(50*time.Millisecond, cancel)
	if _, err := a.NewReader(ctx).Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("ended: %v", err)
	}
	b := New(contents(map[string][]byte{"x": bytes.Repeat([]byte("x"), 1<<20)}, "x"))
	r := b.NewReader(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, r)
		done <- err
	}()
	_ = r.Close()
	if err := <-done; err != nil && !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := r.Read(make([]byte, 1)); !errors.Is(err, fs.ErrClosed) && !errors.Is(err, io.EOF) {
		t.Errorf("after Close: %v", err)
	}
}

// TestReader_ChangedFilesFail checks that a file that became shorter, longer or unreadable ends the download.
func TestReader_ChangedFilesFail(t *testing.T) {
	broken := errors.New("broken")
	for what, c := range map[string]struct {
		open func() (io.ReadCloser, error)
		want error
	}{
		"shorter":    {func() (io.ReadCloser, error) { return &zeros{9}, nil }, ErrChanged},
		"longer":     {func() (io.ReadCloser, error) { return &zeros{11}, nil }, ErrChanged},
		"unreadable": {func() (io.ReadCloser, error) { return nil, broken }, broken},
	} {
		a := New([]File{{Name: "x", Size: 10, Open: c.open}})
		if _, err := io.ReadAll(a.NewReader(t.Context())); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
