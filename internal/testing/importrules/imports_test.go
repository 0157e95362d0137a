// Package importrules tests the import rules: which package may import which.
package importrules

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// module is the path that go.mod names.
var module = func() string {
	text, err := os.ReadFile("../../../go.mod")
	if err != nil {
		panic(err)
	}
	path, _, _ := strings.Cut(strings.TrimPrefix(string(text), "module "), "\n")
	return path
}()

// rules lists what each package may import in addition to the standard library, and why. A rule covers a folder with
// everything below it; the longest matching name applies. "multipeer/x" is that package alone, "multipeer/x/..."
// everything below it.
var rules = []struct {
	folder string
	may    []string
	reason string
}{
	{".", []string{"multipeer/ui", "multipeer/engine", "multipeer/internal/cli", "multipeer/internal/singleinstance", "multipeer/internal/settings", "fyne.io/fyne/v2", "fyne.io/fyne/v2/app"}, "main ties the window to an engine and to what the profile keeps, and knows nothing else"},
	{"ui", []string{"multipeer/bridge/localsend", "multipeer/bridge/web", "multipeer/engine", "multipeer/engine/gateway", "multipeer/transfer", "multipeer/icons", "multipeer/internal/doctor", "multipeer/internal/history", "multipeer/internal/singleinstance", "multipeer/internal/chatlog", "multipeer/internal/rawpath", "multipeer/internal/settings", "multipeer/ui/internal/desktop", "multipeer/ui/internal/thumbnail", "multipeer/ui/internal/widgets", "fyne.io/fyne/v2/...", "github.com/boombuler/barcode/qr", "golang.org/x/net/idna"}, "the window shows values and calls methods: no network, no protocol, no disk format. qr draws links, idna writes their hosts"},
	{"ui/internal/desktop", []string{"multipeer/icons", "multipeer/internal/autostart", "multipeer/ui/internal/x11", "fyne.io/fyne/v2/...", "github.com/godbus/dbus/v5", "golang.org/x/image/draw", "golang.org/x/sys/windows/..."}, "what the system around the window offers: it gets texts and functions, and knows neither the window nor the engine. dbus reaches the desktop on Linux, x/sys that of Windows; x/image draws the icon of the tray"},
	{"ui/internal/thumbnail", []string{"fyne.io/fyne/v2", "golang.org/x/image/..."}, "decodes pictures of peers: it knows a path and a size on screen, and nothing of who sent it. x/image scales and reads WebP"},
	{"ui/internal/widgets", []string{"multipeer/icons", "fyne.io/fyne/v2/..."}, "widgets, layouts and the theme: what they show and run comes as strings, values and functions, so they know neither the window nor the engine"},
	{"ui/internal/x11", []string{"github.com/jezek/xgb/..."}, "files for other X11 programs, over a connection of its own: it gets paths and a picture, and knows no window. xgb speaks the protocol of the X server"},
	{"icons", nil, "pictures"},
	{"engine/discovery", []string{"multipeer/engine/internal/identity"}, "what a program's own discovery implements"},
	{"engine/gateway", []string{"multipeer/engine/internal/identity", "multipeer/transfer"}, "what a gateway implements, and what it gets"},
	{"engine", []string{"multipeer/engine/discovery", "multipeer/engine/gateway", "multipeer/engine/internal/...", "multipeer/internal/rawpath", "multipeer/transfer", "golang.org/x/time/rate"}, "the engine is used headless: it knows no screen"},
	{"engine/enginetest", []string{"multipeer/engine", "multipeer/engine/discovery", "multipeer/engine/gateway", "multipeer/transfer", "github.com/quic-go/quic-go/testutils/simnet"}, "tests of other programs use the public face only"},
	{"engine/internal/wire", []string{"multipeer/internal/invisible"}, "frames and messages need the standard library alone"},
	{"engine/internal/identity", []string{"multipeer/internal/boltfile", "multipeer/internal/privatefile", "multipeer/internal/rawpath", "github.com/gofrs/flock", "github.com/mtibben/confusables", "go.etcd.io/bbolt", "golang.org/x/text/secure/precis", "golang.org/x/text/unicode/norm"}, "keys and what was decided about them; the lock and the store are kept libraries, x/text and confusables (the table of UTS #39) tell names that a person takes for the same"},
	{"engine/internal/tasks", nil, "goroutines alone"},
	{"engine/internal/events", []string{"multipeer/engine/internal/identity"}, "queues of events that it knows by their traits; an ID says whose share an event counts against"},
	{"engine/internal/pairing", []string{"multipeer/engine/internal/identity", "multipeer/engine/internal/tasks", "multipeer/engine/internal/transport", "multipeer/engine/internal/wire", "golang.org/x/time/rate"}, "two people verify two devices: what it needs of the engine is in its interface Host"},
	{"engine/internal/address", []string{"multipeer/engine/internal/identity", "multipeer/engine/internal/transport", "multipeer/engine/internal/wire"}, "strings to addresses: it knows no peer"},
	{"engine/internal/peers/internal/asks", []string{"multipeer/engine/internal/identity", "multipeer/engine/internal/wire", "golang.org/x/time/rate"}, "counts what peers ask; it knows no connection"},
	{"engine/internal/peers/internal/window", []string{"multipeer/engine/internal/wire"}, "numbers messages: it knows a link by one method"},
	{"engine/internal/peers", []string{"multipeer/engine/internal/address", "multipeer/engine/internal/peers/internal/asks", "multipeer/engine/discovery", "multipeer/engine/internal/mdns", "multipeer/engine/internal/identity", "multipeer/engine/internal/tasks", "multipeer/engine/internal/transport", "multipeer/engine/internal/peers/internal/window", "multipeer/engine/internal/wire", "golang.org/x/time/rate"}, "who is near and how they are reached: what it needs of the engine, of transfers, pairings and the discovery is in its interfaces"},
	{"engine/internal/transfers", []string{"multipeer/engine/internal/identity", "multipeer/engine/internal/tasks", "multipeer/engine/internal/transport", "multipeer/engine/internal/wire", "multipeer/internal/rawpath", "multipeer/transfer"}, "offers and transfers: what it needs of the engine is in its interface Host; it knows no table of peers, no session and no reader"},
	{"engine/internal/gateways", []string{"multipeer/engine/gateway", "multipeer/engine/internal/identity", "multipeer/engine/internal/tasks", "multipeer/engine/internal/transport", "multipeer/engine/internal/wire", "multipeer/transfer"}, "devices of other protocols: what it needs of the engine is in its interface Host, and it knows the protocols by an interface"},
	{"engine/internal/mdns", []string{"multipeer/engine/discovery", "multipeer/engine/internal/identity", "multipeer/engine/internal/wire", "github.com/libp2p/zeroconf/v2", "golang.org/x/net/...", "golang.org/x/sys/unix", "golang.org/x/time/rate"}, "hints about where to dial; it opens no conn"},
	{"engine/internal/transport", []string{"multipeer/engine/internal/identity", "multipeer/engine/internal/wire", "github.com/quic-go/quic-go", "golang.org/x/net/ipv4", "golang.org/x/sys/unix", "golang.org/x/time/rate"}, "conns with proven keys; it knows no peer list and no files. x/net and x/sys are what quic-go reads sockets with, x/time bounds handshakes"},
	{"transfer", []string{"multipeer/internal/invisible", "golang.org/x/text/cases", "golang.org/x/text/unicode/norm", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "github.com/zeebo/blake3", "github.com/zeebo/xxh3"}, "files to bytes and back: no peer, no network. x/text finds colliding names, x/sys opens without following links, finds holes, syncs volumes and asks for free space, XXH3 and BLAKE3 are the digests"},
	{"bridge/web", []string{"multipeer/internal/connlimit", "multipeer/internal/storezip", "multipeer/transfer", "golang.org/x/time/rate"}, "a page for browsers: it knows files and no peer. x/time bounds what visitors cause"},
	{"bridge/localsend", []string{"multipeer/engine", "multipeer/engine/gateway", "multipeer/internal/connlimit", "multipeer/transfer", "golang.org/x/net/ipv4", "golang.org/x/time/rate"}, "the protocol of LocalSend, as a gateway of the engine: it knows no program. x/net chooses the interfaces of multicast, x/time bounds what descriptions cause"},
	{"internal/connlimit", []string{"golang.org/x/sys/unix", "golang.org/x/time/rate"}, "connections of servers"},
	{"internal/invisible", nil, "characters that text from others must not contain"},
	{"internal/storezip", nil, "archives on the fly"},
	{"cmd", []string{"multipeer/internal/cli"}, "one static binary"},
	{"tools/appicons", []string{"multipeer/icons", "golang.org/x/image/draw"}, "scales the icon"},
	{"tools/architecture", nil, "reads source"},
	{"tools/modulepath", nil, "changes source"},
	{"internal/rpc", []string{"multipeer/engine", "multipeer/internal/connlimit", "multipeer/transfer"}, "programs in other languages are readers of the same engine; streams of strangers are counted by source"},
	{"internal/cli", []string{"multipeer/bridge/localsend", "multipeer/bridge/web", "multipeer/engine", "multipeer/engine/gateway", "multipeer/transfer", "multipeer/internal/rpc", "multipeer/internal/doctor", "multipeer/internal/history", "multipeer/internal/singleinstance", "multipeer/internal/chatlog", "multipeer/internal/autostart", "multipeer/internal/invisible", "multipeer/internal/privatefile", "github.com/spf13/cobra/...", "github.com/spf13/pflag", "github.com/schollz/progressbar/v3", "golang.org/x/term", "github.com/boombuler/barcode/qr", "golang.org/x/sys/unix", "golang.org/x/sys/windows", "golang.org/x/text/width"}, "the terminal is a reader of the same engine; it knows no window"},
	{"internal/doctor", []string{"multipeer/engine", "multipeer/engine/discovery"}, "looks at the network; programs put into words what it finds"},
	{"internal/chatlog", []string{"multipeer/engine", "multipeer/internal/history"}, "the one place that knows both the engine's news and the history's rows"},
	{"bench", []string{"multipeer/engine", "multipeer/engine/discovery", "multipeer/internal/testing/linkemu", "github.com/quic-go/quic-go", "gonum.org/v1/plot/..."}, "measures what programs see, beside bare QUIC and others"},
	{"examples", []string{"multipeer/engine", "multipeer/transfer", "golang.org/x/term"}, "what a program on the engine needs, and no more"},
	{"internal/testing/hostile", []string{"multipeer/bridge/localsend", "multipeer/bridge/web", "multipeer/engine", "multipeer/engine/discovery", "github.com/quic-go/quic-go", "github.com/zeebo/xxh3", "golang.org/x/net/ipv4", "golang.org/x/sys/unix"}, "attacks an engine and its bridges from outside, with nothing of their encoders"},
	{"internal/testing/browser", []string{"github.com/chromedp/...", "github.com/gobwas/ws/..."}, "drives a real browser; it knows the command-line tool alone"},
	{"internal/testing/soak", []string{"multipeer/engine", "multipeer/internal/testing/load"}, "runs many engines for long"},
	{"internal/privatefile", nil, "files that only this user can use"},
	{"internal/rawpath", nil, "paths as text"},
	{"internal/boltfile", []string{"go.etcd.io/bbolt", "go.etcd.io/bbolt/errors"}, "opens databases, also on file systems without syncs"},
	{"internal/testing/load", []string{"golang.org/x/sys/unix"}, "measures how busy the machine is, for limits of tests"},
	{"tools/runtests", nil, "runs go test"},
	{"tools/demo", nil, "drives the command-line tool as a person would"},
	{"internal/testing/importrules", nil, "reads source"},
	{"tools/checkguards", nil, "takes guards out of the source"},
	{"tools/licences", nil, "reads go.mod and the licences of modules"},
	{"packaging", nil, "files for packages"},
	{"internal/testing/readme", nil, "reads the README"},
	{"internal/testing/netlab", []string{"multipeer/engine"}, "network namespaces for tests, and programs on the engine that run in them"},
	{"internal/testing/languages", []string{"multipeer/internal/testing/netlab"}, "programs in other languages, which know the command-line tool alone"},
	{"internal/testing/linkemu", []string{"golang.org/x/sys/unix"}, "a line between network namespaces for tests and benchmarks"},
	{"internal/history", []string{"multipeer/internal/boltfile", "multipeer/internal/rawpath", "go.etcd.io/bbolt/..."}, "conversations on disk; it knows neither engine nor window"},
	{"internal/autostart", []string{"golang.org/x/sys/windows/..."}, "what starts at login; it knows neither the window nor the command-line tool"},
	{"internal/singleinstance", []string{"multipeer/internal/privatefile", "multipeer/internal/rawpath"}, "a second start speaks to the first"},
	{"internal/settings", []string{"multipeer/internal/boltfile", "multipeer/internal/rawpath"}, "what a person has chosen, as one file"},
	{"internal/testing/window", []string{"multipeer/engine", "multipeer/internal/history", "multipeer/internal/testing/netlab", "golang.org/x/sys/unix"}, "drives the real window, among peers and with an old conversation; x/sys binds it to one processor"},
}

// testsMay is what any test may import too.
var testsMay = []string{"multipeer/engine/enginetest", "fyne.io/fyne/v2/...", "github.com/rogpeppe/go-internal/testscript", "go.uber.org/goleak", "github.com/miekg/dns", "github.com/godbus/dbus/v5", "multipeer/internal/testing/netlab", "multipeer/internal/settings", "multipeer/internal/history", "multipeer/internal/testing/load"}

type source struct {
	path string // slash-separated, from the module's root
	file *ast.File
	text []byte
}

func sources(t *testing.T) []source {
	t.Helper()
	root := "../../.."
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "testdata" || d.Name() == "build") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") || d.Name() == "fyne_metadata_init.go" { // generated by the packager
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, text, parser.ParseComments)
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(root, p)
		out = append(out, source{filepath.ToSlash(rel), f, text})
		return nil
	})
	if err != nil || len(out) < 50 {
		t.Fatalf("%d files: %v", len(out), err)
	}
	return out
}

func allowed(pkg string, may []string) bool {
	return slices.ContainsFunc(may, func(m string) bool {
		if below, ok := strings.CutSuffix(m, "/..."); ok {
			return pkg == below || strings.HasPrefix(pkg, below+"/")
		}
		return pkg == m
	})
}

func TestImports_FollowTheRules(t *testing.T) {
	for _, s := range sources(t) {
		best := -1
		for i, w := range rules {
			if (w.folder == "." && !strings.Contains(s.path, "/") || strings.HasPrefix(s.path, w.folder+"/")) && (best < 0 || len(w.folder) > len(rules[best].folder)) {
				best = i
			}
		}
		if best < 0 {
			t.Errorf("no rule covers %s: add one with a reason", s.path)
			continue
		}
		w := rules[best]
		for _, imp := range s.file.Imports {
			pkg := strings.Trim(imp.Path.Value, `"`)
			first, _, _ := strings.Cut(pkg, "/")
			if first != module && !strings.Contains(first, ".") { // the standard library
				continue
			}
			if allowed(pkg, w.may) || strings.HasSuffix(s.path, "_test.go") && (allowed(pkg, testsMay) || strings.HasPrefix(pkg, module+"/"+path.Dir(s.path))) {
				continue
			}
			t.Errorf("%s imports %s, but %s: %s", s.path, pkg, w.folder, w.reason)
		}
	}
}

// bans lists calls that are dangerous anywhere except in the named files.
var bans = []struct {
	call   *regexp.Regexp
	except []string
	reason string
}{
	{regexp.MustCompile(`\.DoAndWait\(`), nil, "locks up for ever when called on the main thread"},
	{regexp.MustCompile(`\.(SendNotification|ScheduleNotification)\(`), nil, "on Windows it runs the text as a script: a peer's file name could be code"},
	{regexp.MustCompile(`fyne\.Do\b`), []string{"main.go"}, "the one crossing to the main thread is ui/bind.go, and main.go hands it over"},
	{regexp.MustCompile(`NewRichTextFromMarkdown|ParseMarkdown|NewHyperlink`), nil, "a peer's text could fetch pictures or open links"},
	{regexp.MustCompile(`\.Symlink\(`), []string{"transfer/staged_files.go"}, "a received link could lead anywhere; staged.go makes those that were checked"},
}

// TestEngine_PartsKnowEachOtherByInterfacesAlone: the parts of the engine do not import each other; each declares what
// it needs, and package engine connects them.
func TestEngine_PartsKnowEachOtherByInterfacesAlone(t *testing.T) {
	parts := []string{"engine/internal/peers", "engine/internal/pairing", "engine/internal/transfers", "engine/internal/events"}
	for _, s := range sources(t) {
		for _, part := range parts {
			if !strings.HasPrefix(s.path, part+"/") {
				continue
			}
			for _, spec := range s.file.Imports {
				pkg := strings.Trim(spec.Path.Value, `"`)
				for _, other := range parts {
					if other != part && allowed(pkg, []string{module + "/" + other + "/..."}) {
						t.Errorf("%s imports %s", s.path, pkg)
					}
				}
			}
		}
	}
}

func TestBannedCalls(t *testing.T) {
	for _, s := range sources(t) {
		if strings.HasSuffix(s.path, "_test.go") {
			continue
		}
		for _, b := range bans {
			if b.call.Match(s.text) && !slices.Contains(b.except, s.path) && !onlyInComments(s, b.call) {
				t.Errorf("%s: %s: %s", s.path, b.call, b.reason)
			}
		}
	}
}

func onlyInComments(s source, call *regexp.Regexp) bool {
	text := bytes.Clone(s.text)
	for _, g := range s.file.Comments {
		for i := g.Pos() - s.file.FileStart; i < g.End()-s.file.FileStart && int(i) < len(text); i++ {
			text[i] = ' '
		}
	}
	return !call.Match(text)
}

// TestWindow_StartsGoroutinesInOneFile: only the file that waits for goroutines may start them.
func TestWindow_StartsGoroutinesInOneFile(t *testing.T) {
	for _, s := range sources(t) {
		if !strings.HasPrefix(s.path, "ui/") || strings.HasSuffix(s.path, "_test.go") || s.path == "ui/bind.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				t.Errorf("%s starts a goroutine; use background in ui/bind.go", s.path)
			case *ast.CallExpr:
				if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Go" {
					t.Errorf("%s starts a goroutine; use background in ui/bind.go", s.path)
				}
			}
			return true
		})
	}
}

// TestTransfer_OpensTheReceiversFolderInOneFile: only one file opens a receiver's folder; everything else writes
// through its root, which no name can leave.
func TestTransfer_OpensTheReceiversFolderInOneFile(t *testing.T) {
	for _, s := range sources(t) {
		if !strings.HasPrefix(s.path, "transfer/") || strings.HasSuffix(s.path, "_test.go") || s.path == "transfer/staging_dir.go" {
			continue
		}
		for _, call := range []string{"os.OpenRoot", "os.Create", "os.Mkdir", "os.WriteFile", "os.Rename", "os.Remove", "os.Link"} {
			if s.path == "transfer/source.go" && call == "os.OpenRoot" { // only for reading
				continue
			}
			if bytes.Contains(s.text, []byte(call)) {
				t.Errorf("%s calls %s; only staging_dir.go opens folders", s.path, call)
			}
		}
	}
}

// minimum versions, and what each fixes.
var minimum = map[string]string{
	"github.com/quic-go/quic-go":    "v0.65.0", // the limits that we set; several panics before
	"golang.org/x/text":             "v0.39.0", // norm may loop forever on invalid UTF-8 (GO-2026-5970)
	"golang.org/x/net":              "v0.56.0", // dnsmessage panics (GO-2026-5942)
	"golang.org/x/image":            "v0.45.0", // decoders
	"github.com/miekg/dns":          "v1.1.73", // zeroconf requires one from 2021
	"fyne.io/fyne/v2":               "v2.8.1",
	"github.com/libp2p/zeroconf/v2": "v2.2.0",
}

func TestMinimumVersions(t *testing.T) {
	out, err := exec.Command("go", "list", "-m", "-json", "all").Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	dec := json.NewDecoder(bytes.NewReader(out))
	for dec.More() {
		var m struct{ Path, Version string }
		if err := dec.Decode(&m); err != nil {
			t.Fatal(err)
		}
		found[m.Path] = m.Version
	}
	// Up to this version, os.Root, TLS post-handshake messages and KeyUpdate, x509 and DNS were fixed.
	mod, err := os.ReadFile("../../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if m := regexp.MustCompile(`(?m)^go (\S+)$`).FindSubmatch(mod); m == nil || older(string(m[1]), "1.26.6") {
		t.Errorf("go.mod asks for Go %s, at least 1.26.6 is needed", m)
	}
	for mod, least := range minimum {
		if have := found[mod]; older(have, least) {
			t.Errorf("%s %s, at least %s is needed", mod, have, least)
		}
	}
}

func older(have, least string) bool {
	number := regexp.MustCompile(`\d+`)
	a, b := number.FindAllString(have, 3), number.FindAllString(least, 3)
	if len(a) < 3 {
		return true
	}
	for i := range 3 {
		if a[i] != b[i] {
			return len(a[i]) < len(b[i]) || len(a[i]) == len(b[i]) && a[i] < b[i]
		}
	}
	return false
}

// TestWindow_MainIsSmall: the window's code belongs in ui.
func TestWindow_MainIsSmall(t *testing.T) {
	for _, s := range sources(t) {
		if s.path == "main.go" && bytes.Count(s.text, []byte("\n")) > 80 {
			t.Error("main.go has more than 80 lines")
		}
		if s.path != "main.go" && bytes.Contains(s.text, []byte(`"fyne.io/fyne/v2/app"`)) && !strings.HasPrefix(s.path, "internal/testing/importrules/") {
			t.Errorf("%s imports fyne/app, which needs a C compiler", s.path)
		}
	}
}
