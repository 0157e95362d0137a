package engine_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

// filesBelow lists the files below a folder.
func filesBelow(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			out = append(out, path)
		}
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestOffer_NameAndNoteArrive checks that a file is offered and stored under the name that the sender gives, with its
// note.
func TestOffer_NameAndNoteArrive(t *testing.T) {
	file, dir := bytesIn(t, 1000), t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Name: "level 3.map", Note: "the new one\x1b[2J"}, file)
		if err != nil {
			t.Fatal(err)
		}
		o := offered()
		if got := o.Transfer.Names; len(got) != 1 || got[0] != "level 3.map" {
			t.Errorf("offered as %q", got)
		}
		if got := o.Transfer.Note; !strings.HasPrefix(got, "the new one") || strings.Contains(got, "\x1b") {
			t.Errorf("note %q", got)
		}
		if err := o.Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered {
			t.Fatalf("%v, %+v", err, end)
		}
	})
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "level 3.map")); err != nil || !bytes.Equal(got, want) {
		t.Errorf("stored %d bytes, %v", len(got), err)
	}
}

// TestOffer_NamedFolderArrives checks that a folder with everything in it arrives under the name that the sender gives.
func TestOffer_NamedFolderArrives(t *testing.T) {
	src, dir := filepath.Join(t.TempDir(), "src"), t.TempDir()
	if err := os.MkdirAll(filepath.Join(src, "deep"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(src, "deep", "x"), []byte("x"), 0o644); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		acceptAll(t, b, engine.AcceptOptions{Dir: dir})
		meet(t, a, b)
		tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Name: "holiday"}, src)
		if err != nil {
			t.Fatal(err)
		}
		if end, err := a.Wait(t.Context(), tr.ID); err != nil || end.State != engine.Delivered || end.LeftOut != 0 {
			t.Fatalf("%v, %+v", err, end)
		}
	})
	if got, err := os.ReadFile(filepath.Join(dir, "holiday", "deep", "x")); err != nil || string(got) != "x" {
		t.Errorf("stored %q, %v", got, err)
	}
}

// TestOffer_ContentFromAReaderArrivesAtEach checks that content from a reader arrives at several peers, and that the
// sender does not keep it.
func TestOffer_ContentFromAReaderArrivesAtEach(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "profile")
	content := bytes.Repeat([]byte("0123456789"), 50_000)
	dirs := []string{t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile})
		var to []engine.PeerID
		for _, dir := range dirs {
			b := net.Start(engine.Config{Offers: engine.Everyone})
			acceptAll(t, b, engine.AcceptOptions{Dir: dir})
			meet(t, a, b)
			to = append(to, b.Self().ID)
		}
		opts := engine.OfferOptions{Name: "save.bin", Content: iotest.OneByteReader(bytes.NewReader(content[:5000]))}
		opts.Content = io.MultiReader(opts.Content, bytes.NewReader(content[5000:]))
		offered, err := a.OfferEach(t.Context(), to, opts)
		if err != nil {
			t.Fatal(err)
		}
		for _, tr := range offered {
			end, err := a.Wait(t.Context(), tr.ID)
			if err != nil || end.State != engine.Delivered || end.Paths != nil {
				t.Fatalf("%v, %+v", err, end)
			}
			if err := a.Retry(tr.ID); !errors.Is(err, engine.ErrState) {
				t.Errorf("Retry returns %v", err)
			}
		}
		synctest.Wait()
		if left := filesBelow(t, filepath.Join(profile, "spool")); len(left) > 0 {
			t.Errorf("the sender keeps %q", left)
		}
	})
	for _, dir := range dirs {
		if got, err := os.ReadFile(filepath.Join(dir, "save.bin")); err != nil || !bytes.Equal(got, content) {
			t.Errorf("stored %d bytes, %v", len(got), err)
		}
	}
}

// TestOffer_KeptContentSurvivesARestart checks that content from a reader waits for an offline peer across a restart,
// like a file, and that nothing is left of an offer that was not kept.
func TestOffer_KeptContentSurvivesARestart(t *testing.T) {
	profile, dir := filepath.Join(t.TempDir(), "profile"), t.TempDir()
	spool := filepath.Join(profile, "spool")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile}), net.Start(engine.Config{Offers: engine.Everyone, Profile: filepath.Join(t.TempDir(), "profile")})
		offered := offers(t, b)
		meet(t, a, b)
		kept, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Keep: true, Name: "kept", Content: strings.NewReader("kept")})
		if err != nil {
			t.Fatal(err)
		}
		offered()
		if _, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Name: "gone", Content: strings.NewReader("gone")}); err != nil {
			t.Fatal(err)
		}
		offered()
		a.Stop()
		if left := filesBelow(t, spool); len(left) != 1 {
			t.Errorf("after the end the sender keeps %q", left)
		}
		if err := os.WriteFile(filepath.Join(filepath.Dir(filesBelow(t, spool)[0]), "after a crash"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		a = net.Start(engine.Config{Offers: engine.Everyone, Profile: profile})
		if left := filesBelow(t, spool); len(left) != 1 {
			t.Errorf("after the start the sender keeps %q", left)
		}
		meet(t, a, b)
		if err := offered().Accept(engine.AcceptOptions{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		if end, err := a.Wait(t.Context(), kept.ID); err != nil || end.State != engine.Delivered {
			t.Fatalf("%v, %+v", err, end)
		}
		synctest.Wait()
		if left := filesBelow(t, spool); len(left) > 0 {
			t.Errorf("after the delivery the sender keeps %q", left)
		}
	})
	if got, err := os.ReadFile(filepath.Join(dir, "kept")); err != nil || string(got) != "kept" {
		t.Errorf("stored %q, %v", got, err)
	}
}

// TestOffer_RefusesContradictingOptions checks that contradictory options are refused with a reason, and that no
// content is kept.
func TestOffer_RefusesContradictingOptions(t *testing.T) {
	file, profile := bytesIn(t, 10), filepath.Join(t.TempDir(), "profile")
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone, Profile: profile}), net.Start(engine.Config{Offers: engine.Everyone})
		meet(t, a, b)
		broken := errors.New("the source broke")
		ended, end := context.WithCancel(t.Context())
		end()
		for what, c := range map[string]struct {
			ctx   context.Context
			opts  engine.OfferOptions
			paths []string
			want  error
		}{
			"two paths, one name":   {t.Context(), engine.OfferOptions{Name: "x"}, []string{file, file}, engine.ErrInvalid},
			"a name with a slash":   {t.Context(), engine.OfferOptions{Name: "a/b"}, []string{file}, engine.ErrInvalid},
			"a name that climbs":    {t.Context(), engine.OfferOptions{Name: ".."}, []string{file}, engine.ErrInvalid},
			"a long name":           {t.Context(), engine.OfferOptions{Name: strings.Repeat("x", 256)}, []string{file}, engine.ErrInvalid},
			"a name in Latin-1":     {t.Context(), engine.OfferOptions{Name: "\xe9"}, []string{file}, engine.ErrInvalid},
			"content without name":  {t.Context(), engine.OfferOptions{Content: strings.NewReader("x")}, nil, engine.ErrInvalid},
			"content beside a path": {t.Context(), engine.OfferOptions{Name: "x", Content: strings.NewReader("x")}, []string{file}, engine.ErrInvalid},
			"a long note":           {t.Context(), engine.OfferOptions{Note: strings.Repeat("x", engine.MaxNote+1)}, []string{file}, engine.ErrInvalid},
			"a note in Latin-1":     {t.Context(), engine.OfferOptions{Note: "\xe9"}, []string{file}, engine.ErrInvalid},
			"a large preview":       {t.Context(), engine.OfferOptions{Preview: make([]byte, engine.MaxPreview+1)}, []string{file}, engine.ErrInvalid},
			"a broken reader":       {t.Context(), engine.OfferOptions{Name: "x", Content: iotest.ErrReader(broken)}, nil, broken},
			"an ended context":      {ended, engine.OfferOptions{Name: "x", Content: strings.NewReader("x")}, nil, context.Canceled},
		} {
			if _, err := a.OfferWith(c.ctx, b.Self().ID, c.opts, c.paths...); !errors.Is(err, c.want) {
				t.Errorf("%s: %v", what, err)
			}
		}
		if _, err := a.OfferWith(t.Context(), a.Self().ID, engine.OfferOptions{Name: "x", Content: strings.NewReader("x")}); !errors.Is(err, engine.ErrInvalid) {
			t.Errorf("to itself: %v", err)
		}
		if left := filesBelow(t, filepath.Join(profile, "spool")); len(left) > 0 {
			t.Errorf("the sender keeps %q", left)
		}
	})
}

// TestOffer_PreviewOfKnownPeersArrives: the picture that a sender adds reaches the program, unless the sender was never
// accepted here.
func TestOffer_PreviewOfKnownPeersArrives(t *testing.T) {
	file := bytesIn(t, 1000)
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, latency)
		a, b := net.Start(engine.Config{Offers: engine.Everyone}), net.Start(engine.Config{Offers: engine.Everyone})
		offered := offers(t, b)
		preview := []byte("\xff\xd8 a picture")
		if _, err := a.WaitPeer(t.Context(), b.Self().ID, engine.Found); err != nil {
			t.Fatal(err)
		}
		for _, trust := range []engine.Trust{engine.TrustUnknown, engine.TrustSeen} {
			if trust != engine.TrustUnknown {
				if err := b.SetTrust(a.Self().ID, trust); err != nil {
					t.Fatal(err)
				}
			}
			tr, err := a.OfferWith(t.Context(), b.Self().ID, engine.OfferOptions{Preview: preview}, file)
			if err != nil {
				t.Fatal(err)
			}
			o := offered()
			want := ""
			if trust == engine.TrustSeen {
				want = string(preview)
			}
			if string(o.Preview) != want {
				t.Errorf("trust %q: preview %q", trust, o.Preview)
			}
			if err := o.Decline(); err != nil {
				t.Fatal(err)
			}
			if _, err := a.Wait(t.Context(), tr.ID); !errors.Is(err, engine.ErrDeclined) {
				t.Error(err)
			}
		}
	})
}
