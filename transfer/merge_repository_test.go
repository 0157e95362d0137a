package transfer

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// namesIn lists a folder, without hidden entries.
func namesIn(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), ".") {
			names = append(names, e.Name())
		}
	}
	return names
}

// TestMerge_NotIntoARepository: a folder with a HEAD is or becomes a Git repository, which other names configure too.
// So nothing is merged into it, wherever it is, and the received folder gets a number.
func TestMerge_NotIntoARepository(t *testing.T) {
	for policy, name := range map[Existing]string{SkipIdentical: "skip", Replace: "replace"} {
		t.Run(name, func(t *testing.T) {
			for where, within := range map[string]string{"top": ".", "nested": "work"} {
				src, dst := t.TempDir(), t.TempDir()
				repo := filepath.Join(within, "repo.git")
				write(t, filepath.Join(src, repo, "config"), "[core]\n")
				write(t, filepath.Join(src, repo, "refs/heads/x"), "x")
				write(t, filepath.Join(dst, repo, "HEAD"), "ref: refs/heads/main")
				write(t, filepath.Join(dst, repo, "config"), "mine")
				source := filepath.Join(src, within)
				if within == "." {
					source = filepath.Join(src, "repo.git")
				}
				recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: policy}
				_, _, se, re := attempt(t, SendOptions{Paths: []string{source}}, recv, 1<<40)
				if se != nil || re != nil {
					t.Fatal(where, se, re)
				}
				if got := namesIn(t, filepath.Join(dst, repo)); !slices.Equal(got, []string{"HEAD", "config"}) {
					t.Errorf("%s: the repository holds %q", where, got)
				}
				if b, err := os.ReadFile(filepath.Join(dst, repo, "config")); err != nil || string(b) != "mine" {
					t.Errorf("%s: its config is %q, %v", where, b, err)
				}
				if _, err := os.Stat(filepath.Join(dst, within, "repo (2).git", "config")); err != nil {
					t.Errorf("%s: %v; %q", where, err, namesIn(t, filepath.Join(dst, within)))
				}
			}
			t.Run("the folder for received files", func(t *testing.T) {
				src, dst := t.TempDir(), t.TempDir()
				write(t, filepath.Join(src, "config"), "theirs")
				write(t, filepath.Join(dst, "HEAD"), "ref: refs/heads/main")
				write(t, filepath.Join(dst, "config"), "mine")
				recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: policy}
				_, _, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "config")}}, recv, 1<<40)
				if se != nil || re != nil {
					t.Fatal(se, re)
				}
				if b, err := os.ReadFile(filepath.Join(dst, "config")); err != nil || string(b) != "mine" {
					t.Errorf("its config is %q, %v", b, err)
				}
			})
		})
	}
}

// TestMerge_NotIntoAnotherDisk checks that a folder on another disk, to which nothing can be renamed from the staging
// folder, is kept as it is, and that everything arrives beside it.
func TestMerge_NotIntoAnotherDisk(t *testing.T) {
	for _, policy := range []Existing{SkipIdentical, Replace} {
		for _, disk := range []string{"photos", "photos/trip"} {
			src, dst := t.TempDir(), t.TempDir()
			for _, dir := range []string{src, dst} {
				write(t, filepath.Join(dir, "photos/trip/a"), "of "+dir)
			}
			recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Existing: policy, check: func(op, name string) error {
				if op == "merge" && name == disk {
					return syscall.EXDEV
				}
				return nil
			}}
			_, got, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "photos")}}, recv, 1<<40)
			if se != nil || re != nil || got.LeftOut > 0 {
				t.Fatalf("%s: %v, %v, %+v", disk, se, re, got)
			}
			beside := strings.Replace(filepath.Join(disk+" (2)", "trip/a"), "trip (2)/trip", "trip (2)", 1)
			if b, err := os.ReadFile(filepath.Join(dst, beside)); err != nil || string(b) != "of "+src {
				t.Errorf("%s: %q, %v", disk, b, err)
			}
			if b, err := os.ReadFile(filepath.Join(dst, "photos/trip/a")); err != nil || string(b) != "of "+dst {
				t.Errorf("%s: what was there is %q, %v", disk, b, err)
			}
		}
	}
}

// TestNames_OfRepositoryParts: names that redirect or configure a repository are made inert.
func TestNames_OfRepositoryParts(t *testing.T) {
	for _, name := range []string{"commondir", "CommonDir", "gitdir", "config.worktree"} {
		if !actsWhenListed(name) {
			t.Errorf("%s is kept", name)
		}
	}
	for _, name := range []string{"config", "objects", "refs", "hooks"} {
		if actsWhenListed(name) {
			t.Errorf("%s is renamed", name)
		}
	}
}

// TestChoose_PanicKeepsBoth: a panic in the program's function loses nothing.
func TestChoose_PanicKeepsBoth(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	write(t, filepath.Join(src, "a"), "new")
	write(t, filepath.Join(dst, "a"), "old")
	recv := ReceiveOptions{Dir: dst, ID: "x", Key: "k", Reserve: -1, Choose: func(context.Context, string) Existing { panic("a mistake") }}
	_, _, se, re := attempt(t, SendOptions{Paths: []string{filepath.Join(src, "a")}}, recv, 1<<40)
	if se != nil || re != nil || !slices.Equal(namesIn(t, dst), []string{"a", "a (2)"}) {
		t.Errorf("%v %v %q", se, re, namesIn(t, dst))
	}
}
