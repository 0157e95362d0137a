package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// job is something to send.
type job struct {
	name  string // file, small, medium
	title string
	path  string
	files int
	bytes int64
	again bool // the receiver has everything already
}

// makeJobs writes the files that are sent.
func makeJobs(dir string, s settings) ([]job, error) {
	jobs := []job{
		{"file", fmt.Sprintf("one file of %d MiB", s.size>>20), filepath.Join(dir, "src", "large"), 1, s.size, false},
		{"small", fmt.Sprintf("%d files of 4 KiB in %d folders", s.files, (s.files+99)/100), filepath.Join(dir, "src", "small"), s.files, int64(s.files) * 4096, false},
		{"medium", fmt.Sprintf("%d files of 5 MiB", s.medium), filepath.Join(dir, "src", "medium"), s.medium, int64(s.medium) * (5 << 20), false},
	}
	jobs = append(jobs, job{"again", jobs[1].title + ", all of them unchanged at the receiver", jobs[1].path, jobs[1].files, jobs[1].bytes, true})
	if err := os.MkdirAll(filepath.Dir(jobs[0].path), 0o755); err != nil {
		return nil, err
	}
	if err := writeRandom(jobs[0].path, s.size); err != nil {
		return nil, err
	}
	for i := range s.files {
		p := filepath.Join(jobs[1].path, fmt.Sprintf("%03d", i/100), fmt.Sprintf("%05d", i))
		if i%100 == 0 {
			if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
				return nil, err
			}
		}
		if err := writeRandom(p, 4096); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(jobs[2].path, 0o755); err != nil {
		return nil, err
	}
	for i := range s.medium {
		if err := writeRandom(filepath.Join(jobs[2].path, fmt.Sprintf("%04d", i)), 5<<20); err != nil {
			return nil, err
		}
	}
	return jobs, nil
}

// lighter returns a smaller job of the same kind, for a line on which j would take minutes.
func (j job) lighter(dir string, at *line, s settings) job {
	if !at.isWiFi() {
		return j
	}
	size := min(j.bytes, 128<<20)
	p := filepath.Join(dir, "src", "for-wifi")
	if _, err := os.Stat(p); err != nil && writeRandom(p, size) != nil {
		return j
	}
	return job{j.name, fmt.Sprintf("one file of %d MiB", size>>20), p, 1, size, false}
}

func writeRandom(path string, size int64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	block := make([]byte, min(size, 1<<20))
	for n := int64(0); n < size; n += int64(len(block)) {
		_, _ = rand.Read(block)
		if _, err := f.Write(block[:min(int64(len(block)), size-n)]); err != nil {
			return err
		}
	}
	return f.Close()
}

// result is one run of a contender.
type result struct {
	took            time.Duration
	sendCPU, rcvCPU time.Duration
	sendRSS, rcvRSS int64 // peak, in bytes
	note            string
}

// middle returns the median of each figure.
func middle(all []result) result {
	took := func(f func(result) int64) int64 {
		v := make([]int64, len(all))
		for i, r := range all {
			v[i] = f(r)
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return result{
		took:    time.Duration(took(func(r result) int64 { return int64(r.took) })),
		sendCPU: time.Duration(took(func(r result) int64 { return int64(r.sendCPU) })),
		rcvCPU:  time.Duration(took(func(r result) int64 { return int64(r.rcvCPU) })),
		sendRSS: took(func(r result) int64 { return r.sendRSS }),
		rcvRSS:  took(func(r result) int64 { return r.rcvRSS }),
		note:    all[len(all)-1].note,
	}
}
