package web

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"multipeer/transfer"
)

// TestForm_WhatIsMissingIsReported: if files of a form are missing, neither side reports the form as received.
func TestForm_WhatIsMissingIsReported(t *testing.T) {
	const file = "--x\r\nContent-Disposition: form-data; name=files; filename=\"%s\"\r\n\r\n%s\r\n"
	const end = "--x--\r\n"
	whole := fmt.Sprintf(file, "a", "whole")
	many := strings.Builder{}
	for i := range MaxFormFiles + 2 {
		fmt.Fprintf(&many, file, fmt.Sprintf("f%d", i), "x")
	}
	for name, c := range map[string]struct {
		body    string
		broken  error // the connection's error after the body; nil for none
		arrived int64
		left    int64
		want    error
	}{
		"whole":                       {whole + end, nil, 1, 0, nil},
		"a field without a file":      {whole + "--x\r\nContent-Disposition: form-data; name=other\r\n\r\nhi\r\n" + end, nil, 1, 0, nil},
		"cut inside the only file":    {strings.TrimSuffix(whole, "ole\r\n"), io.ErrUnexpectedEOF, 0, 1, transfer.ErrInterrupted},
		"cut after a file":            {whole, io.ErrUnexpectedEOF, 0, 1, transfer.ErrInterrupted},
		"cut in the head of a file":   {whole + "--x\r\nContent-Dispo", io.ErrUnexpectedEOF, 1, 0, transfer.ErrInterrupted},
		"an end without a boundary":   {whole + "--x\r\nContent-Dispo", nil, 1, 0, transfer.ErrInterrupted},
		"a file of a damaged head":    {whole + "--x\r\nContent-Disposition: form-data; name\r\n\r\nx\r\n" + end, nil, 1, 0, transfer.ErrProtocol},
		"a file that cannot be named": {whole + fmt.Sprintf(file, "..", "x") + end, nil, 1, 1, transfer.ErrBadName},
		"a file named as a folder":    {whole + fmt.Sprintf(file, ".", "x") + end, nil, 1, 0, transfer.ErrBadName},
		"a name that is too long":     {whole + fmt.Sprintf(file, strings.Repeat("n", transfer.MaxPath+1), "x") + end, nil, 1, 0, transfer.ErrTooLong},
		"more files than a form has":  {many.String() + end, nil, MaxFormFiles, 1, transfer.ErrTooMuch},
	} {
		l, seen := openLink(t, Options{Dir: t.TempDir()})
		b := newBrowser(t, l)
		b.open("")
		var body io.Reader = strings.NewReader(c.body)
		if c.broken != nil {
			body = io.MultiReader(body, breaking{})
		}
		status, page, _ := b.do("POST", "upload", body, "Content-Type", "multipart/form-data; boundary=x")
		if said := bytes.Contains(page, []byte("card problem")); status != 0 && said != (c.want != nil) {
			t.Errorf("%s: the page says %s", name, page)
		}
		var got []Received
		for deadline := time.Now().Add(10 * time.Second); len(got) == 0 && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
			got = of[Received](seen)
		}
		if len(got) != 1 || got[0].Result.Files != c.arrived || got[0].Result.LeftOut != c.left || !errors.Is(got[0].Err, c.want) {
			t.Errorf("%s: received %+v", name, got)
		}
	}
}

// TestForm_FilesOfOneNameAreAllKept: an iPhone calls each picture "image.jpg".
func TestForm_FilesOfOneNameAreAllKept(t *testing.T) {
	dir := t.TempDir()
	l, seen := openLink(t, Options{Dir: dir})
	b := newBrowser(t, l)
	b.open("")
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	var want []string
	for i, name := range []string{"image.jpg", "image.jpg", "image (2).jpg", "noext", "noext", "image.jpg"} {
		w, err := form.CreateFormFile("files", name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(w, "picture %d", i)
		want = append(want, fmt.Sprintf("picture %d", i))
	}
	_ = form.Close()
	b.do("POST", "upload", &body, "Content-Type", form.FormDataContentType())
	if got := of[Received](seen); len(got) != 1 || got[0].Err != nil || got[0].Result.Files != 6 || len(got[0].Result.Saved) != 6 {
		t.Errorf("received %+v", got)
	}
	var got []string
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		content, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(content))
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("kept %q", got)
	}
}

// TestFinish_FailureReachesTheVisitor: when files that have arrived may not survive, neither side says "done".
func TestFinish_FailureReachesTheVisitor(t *testing.T) {
	dir := t.TempDir()
	l, seen := openLink(t, Options{Dir: dir})
	b := newBrowser(t, l)
	b.open("")
	id, _ := b.offer(offeredFile{Path: "a.txt", Size: 3})
	if status, _, _ := b.do("PUT", "put/"+id+"/0?from=0", strings.NewReader("abc")); status != 200 {
		t.Fatalf("the file is refused: %d", status)
	}
	if err := os.Remove(filepath.Join(dir, "a.txt")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "a.txt"), 0o700); err != nil { // so that it cannot be synced
		t.Fatal(err)
	}
	if _, answer, _ := b.do("POST", "finish/"+id, nil); !strings.Contains(string(answer), `"error":"failed"`) {
		t.Errorf("the visitor gets %s", answer)
	}
	if got := of[Received](seen); len(got) != 1 || got[0].Err == nil {
		t.Errorf("received %+v", got)
	}
}
