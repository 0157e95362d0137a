package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// measureHuge sends jobs that are too large to be counted or read in advance: the first byte must not wait for that,
// and memory must not grow with the size.
func measureHuge(ctx context.Context, dir string, w *report) error {
	sparse, tree := filepath.Join(dir, "sparse"), filepath.Join(dir, "tree")
	f, err := os.Create(sparse)
	if err != nil {
		return err
	}
	if err := f.Truncate(100 << 30); err != nil {
		return err
	}
	for i := range int64(50) { // some data here and there
		if _, err := f.WriteAt(make([]byte, 4096), i*2<<30); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	const files = 200_000
	for i := range files {
		p := filepath.Join(tree, fmt.Sprintf("d%04d", i/100), fmt.Sprintf("a file with a name of some length %06d", i))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return err
			}
		}
		if err := os.WriteFile(p, []byte("x"), 0o644); err != nil {
			return err
		}
	}
	defer os.RemoveAll(tree)
	defer os.Remove(sparse)
	at := &line{name: "loopback", to: "127.0.0.1"}
	fmt.Println("\nhuge jobs")
	for _, j := range []job{
		{"sparse", "a sparse file of 100 GiB", sparse, 1, 100 << 30, false},
		{"tree", "a tree of 200,000 files", tree, files, files, false},
	} {
		r, err := contenders(at, j)[0].run(ctx, at, j, filepath.Join(dir, "out"))
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%s: %.1f s, peak memory %d + %d MiB (sender + receiver); %s", j.title, r.took.Seconds(), r.sendRSS>>20, r.rcvRSS>>20, r.note)
		fmt.Println("  " + text)
		w.notes = append(w.notes, strings.ToUpper(text[:1])+text[1:]+".")
	}
	return nil
}
