//go:build linux

package netlab_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"multipeer/internal/testing/netlab"
)

const root = "../../.."

// commandPages lists the pages with commands for readers to type.
var commandPages = []string{
	"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/api.md", "docs/architecture.md", "docs/building.md", "docs/cli.md", "docs/figures.md", "docs/packaging.md",
	"examples/README.md", "docs/json-rpc.md", "docs/parity.md", "docs/performance.md", "docs/reach.md", "docs/security.md", "docs/testing.md", "docs/window.md",
}

// Where a command is run.
const (
	here   = "here"   // in a test below, which fails if the command was not run
	long   = "long"   // in TestLongCommands, with MULTIPEER_LONG=1
	synops = "synops" // in TestSynopsis

	elsewhere = "elsewhere" // in TestCommandsOfThisSystem of internal/testing/readme, on that system
)

// commands maps each command in the docs to where it is run: a test below, or a file that contains the words after
// the colon. Commands for other systems are run on those systems, by internal/testing/readme.
var commands = map[string]string{
	"make run":       here,
	"make test":      ".ci/run:make test",
	"make test-long": ".ci/run:make test-long",
	"make check":     ".ci/run:make check",
	"make demo":      ".ci/run:make demo",
	"make cli":       here,
	"build/multipeer-cli --profile /tmp/ben --name Ben receive --into /tmp/inbox":      here,
	"build/multipeer-cli --profile /tmp/anna --name Anna send --to Ben README.md docs": here,
	"multipeer-cli doctor":                                                      here,
	"multipeer-cli chat":                                                        here,
	"multipeer-cli serve":                                                       synops,
	"multipeer-cli link --receive photo.jpg":                                    synops,
	"multipeer-cli link":                                                        synops,
	"multipeer-cli --localsend doctor":                                          "internal/cli/localsend_test.go:TestDoctor_SaysWhatItFoundOfLocalSend",
	"multipeer-cli --localsend serve --into inbox":                              "internal/testing/netlab/localsend_test.go:TestLocalSend_BothDirections",
	"multipeer-cli --localsend send --to Phone photos":                          "internal/testing/netlab/localsend_test.go:TestLocalSend_BothDirections",
	"multipeer-cli --localsend send --to localsend:192.0.2.23 photos":           "internal/testing/netlab/localsend_test.go:TestLocalSend_Outcomes",
	"multipeer-cli link photos notes.txt":                                       synops,
	"multipeer-cli link --receive --into inbox":                                 synops,
	"page=http://192.0.2.7:8421/abcd-efgh-ijkl/":                                "internal/cli/link_test.go:docs/reach.md",
	`curl --fail -c jar -H "Origin: http://192.0.2.7:8421" -d "" "${page}open"`: "internal/cli/link_test.go:docs/reach.md",
	`curl --fail -b jar -O -J "${page}all.zip"`:                                 "internal/cli/link_test.go:docs/reach.md",
	"multipeer-cli auto":                                                        synops,
	"multipeer-cli peers":                                                       synops,
	"multipeer-cli pair":                                                        synops,
	"go run ./tools/modulepath -to HOST/PATH":                                   "tools/modulepath/main_test.go:rename(copied,",
	"multipeer-cli api":                                                         "internal/testing/languages/testdata/api.mjs:[\"api\"]",
	"multipeer-cli trust ID verified":                                           synops,
	"go run -C examples/lightcycle .":                                           "examples/lightcycle/process_test.go:lightcycle",
	"go mod edit -require multipeer@v0.0.0 -replace multipeer=../multipeer && go mod tidy": here,
	"CGO_ENABLED=0 go build ./cmd/multipeer-cli":                                           here,

	"make bench": long, "make package": long, "sh scripts/package-fresh.sh": long, "sh scripts/cold-start.sh": long, "make archives": long, "make wheels": long, "make figures": long, "make pictures": long, "make licences": long, "make architecture": long,
	"make guards": long, "go run ./tools/checkguards -write": "tools/checkguards/guards_test.go:withTables", "make fuzz": long, "sh scripts/deps.sh windows": long, "sh scripts/package-test.sh": long, "sh scripts/wine-test.sh": long,

	"sh scripts/service-test.sh":                           long,
	"systemctl --user enable --now multipeer":              "scripts/service-test.sh:systemctl --user enable --now multipeer\n",
	"loginctl enable-linger":                               "scripts/service-test.sh:loginctl enable-linger\n",
	"multipeer-cli serve --into ~/Downloads --at-login on": "scripts/service-test.sh:multipeer-cli serve --into ~/Downloads --at-login on\n",
	"multipeer-cli serve --at-login off":                   "scripts/service-test.sh:multipeer-cli serve --at-login off\n",
	"multipeer-cli serve --stop":                           synops,

	"go run fyne.io/tools/cmd/fyne@v1.7.4 package --target darwin": elsewhere,
	"go run fyne.io/tools/cmd/fyne@v1.7.4 package --target ios":    elsewhere,
	"sh packaging/darwin/package.sh":                               elsewhere,
	"go build -tags migrated_fynedo -ldflags -H=windowsgui .":      elsewhere,

	"go test ./ui":                           "tools/runtests/main.go:./...",
	"MULTIPEER_PICTURES=folder go test ./ui": long,
	"MULTIPEER_PICTURES=DIR go test ./internal/testing/window ./ui": "scripts/pictures.sh:MULTIPEER_PICTURES=$out go test",
	"go test ./...":                                                    long,
	"go test -v ./internal/testing/hostile":                            "tools/runtests/main.go:./internal/testing/hostile",
	"go test -v ./internal/testing/hostile -attack REGEXP":             long,
	"go test -race ./internal/testing/hostile -strict":                 long,
	"MULTIPEER_SOAK=1h go test -v -timeout 2h ./internal/testing/soak": "tools/runtests/main.go:./internal/testing/soak",
	"MULTIPEER_CUTS=200 MULTIPEER_CUT_BYTES=10737418240 MULTIPEER_CUT_FILES=20000 MULTIPEER_CUT_DOWN=60 go test -run Cuts -v -timeout 2h ./internal/testing/netlab": "tools/runtests/main.go:./internal/testing/netlab",
	"MULTIPEER_POWER_CUTS=30 go test -run PowerCut -v ./transfer": "tools/runtests/main.go:./...",
}

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// typed lists the commands of the docs, each with its page: lines of blocks without a language, and inline code.
func typed(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	block := regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")
	command := regexp.MustCompile(`^(make [a-z-]+$|go (run|test|build|mod) |sh |build/multipeer-cli |multipeer-cli [a-z]+|systemctl |loginctl |launchctl |schtasks |[A-Z_]+=\S+ .*go )`)
	for _, name := range commandPages {
		text := page(t, name)
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			if m[1] != "" || name == "docs/cli.md" { // docs/cli.md has a synopsis, see TestSynopsis
				continue
			}
			for line := range strings.Lines(m[2]) {
				line, _, _ = strings.Cut(line, "#")
				if line = strings.TrimSpace(line); line != "" {
					out[line] = name
				}
			}
		}
		for _, m := range regexp.MustCompile("`([^`\n]+)`").FindAllStringSubmatch(block.ReplaceAllString(text, ""), -1) {
			if command.MatchString(m[1]) {
				out[m[1]] = name
			}
		}
	}
	return out
}

// TestDocs_EveryCommandIsRun: the commands of the docs are exactly those in the table above.
func TestDocs_EveryCommandIsRun(t *testing.T) {
	docs := typed(t)
	if len(docs) < 30 {
		t.Fatalf("only %d commands were found", len(docs))
	}
	for c, name := range docs {
		by, run := commands[c]
		if !run {
			t.Errorf("%s mentions %q, which no test runs", name, c)
		}
		if by == elsewhere && !strings.Contains(page(t, "internal/testing/readme/system_test.go"), c) {
			t.Errorf("%s mentions %q, which internal/testing/readme does not run", name, c)
		}
		if file, says, ok := strings.Cut(by, ":"); ok && !strings.Contains(page(t, file), says) {
			t.Errorf("%q: %s does not run it", c, file)
		}
	}
	for c := range commands {
		if _, there := docs[c]; !there {
			t.Errorf("no page mentions %q", c)
		}
	}
}

// shell runs a line of the docs as a reader would, on a host, in the root of the project. It replaces /tmp with tmp.
func shell(t *testing.T, h *netlab.Host, tmp, line string) *exec.Cmd {
	t.Helper()
	if commands[line] != here {
		t.Fatalf("%q is not of the docs", line)
	}
	return script(t, h, strings.ReplaceAll(line, "/tmp/", tmp+"/"), tmp)
}

func script(t *testing.T, h *netlab.Host, line, home string) *exec.Cmd {
	if strings.Contains(line, "multipeer-cli ") && !strings.Contains(line, "go ") { // so that signals reach it
		line = "exec " + line
	}
	c := h.Command(t.Context(), "sh", "-c", line)
	c.Dir = root
	bin, _ := filepath.Abs(filepath.Join(root, "build"))
	c.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+filepath.Join(home, "config"), "PATH="+bin+":"+os.Getenv("PATH"), "GOPATH="+goEnv(t, "GOPATH"), "GOCACHE="+goEnv(t, "GOCACHE"))
	return c
}

func goEnv(t *testing.T, name string) string {
	out, err := exec.Command("go", "env", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// TestReadme_TwoPeersConnect types what the README says, on two hosts.
func TestReadme_TwoPeersConnect(t *testing.T) {
	lan := netlab.New(t, 2)
	tmp := t.TempDir()
	for _, line := range []string{"make cli", "CGO_ENABLED=0 go build ./cmd/multipeer-cli"} {
		if out, err := shell(t, lan.Lonely(), tmp, line).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
	_ = os.Remove(filepath.Join(root, "multipeer-cli"))
	receive := shell(t, lan.Host(1), tmp, "build/multipeer-cli --profile /tmp/ben --name Ben receive --into /tmp/inbox")
	receive.Stdin = strings.NewReader("y\ny\n") // Ben is asked
	var said strings.Builder
	receive.Stdout, receive.Stderr = &said, &said
	if err := receive.Start(); err != nil {
		t.Fatal(err)
	}
	if out, err := shell(t, lan.Host(2), tmp, "build/multipeer-cli --profile /tmp/anna --name Anna send --to Ben README.md docs").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	_ = receive.Process.Signal(os.Interrupt)
	if err := receive.Wait(); err != nil {
		t.Errorf("receive: %v: %s", err, said.String())
	}
	for _, name := range []string{"README.md", "docs/cli.md"} {
		if got, err := os.ReadFile(filepath.Join(tmp, "inbox", name)); err != nil || string(got) != page(t, name) {
			t.Errorf("%s: %v", name, err)
		}
	}

	// "multipeer-cli chat in both terminals is a chat", and the doctor finds nothing wrong if a peer answers.
	type terminal struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Reader
	}
	var both []terminal
	for i := range 2 {
		c := shell(t, lan.Host(i+1), t.TempDir(), "multipeer-cli chat")
		in, err := c.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		c.Stderr = c.Stdout
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		both = append(both, terminal{c, in, bufio.NewReader(out)})
	}
	heard := make(chan string, 2)
	for i, me := range both {
		for line := ""; !strings.Contains(line, "is here"); {
			var err error
			if line, err = me.out.ReadString('\n'); err != nil {
				t.Fatalf("nobody came: %v", err)
			}
		}
		go func() {
			for {
				line, err := me.out.ReadString('\n')
				if strings.Contains(line, "hello") || err != nil {
					heard <- fmt.Sprint(i, " ", line, err)
					_, _ = io.Copy(io.Discard, me.out)
					return
				}
			}
		}()
	}
	for _, me := range both {
		_, _ = io.WriteString(me.in, "hello\n")
	}
	for range both {
		if s := <-heard; !strings.Contains(s, "hello") {
			t.Errorf("a chat ended: %s", s)
		}
	}
	if out, err := shell(t, lan.Lonely(), t.TempDir(), "multipeer-cli doctor").CombinedOutput(); err == nil || !strings.Contains(string(out), "no-network") {
		t.Errorf("the doctor of a host without a network reports %v: %s", err, out)
	}
	for _, me := range both {
		_ = me.in.Close()
		if err := me.cmd.Wait(); err != nil {
			t.Errorf("chat: %v", err)
		}
	}
}

// TestMakeRun: without a display, make run opens the command-line tool; internal/testing/window opens the window.
func TestMakeRun(t *testing.T) {
	home := t.TempDir()
	c := shell(t, netlab.New(t, 1).Host(1), home, "make run")
	c.Env = slices.DeleteFunc(c.Env, func(e string) bool {
		return strings.HasPrefix(e, "DISPLAY=") || strings.HasPrefix(e, "WAYLAND_DISPLAY=")
	})
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is sent to all of them
	out, err := c.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	receiving := false
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if receiving = strings.Contains(lines.Text(), "receiving into "+home+"/Downloads"); receiving {
			break
		}
	}
	_ = syscall.Kill(-c.Process.Pid, syscall.SIGINT)
	_, _ = io.Copy(io.Discard, out)
	_ = c.Wait() // make reports the interrupt
	if !receiving {
		t.Error("nothing receives")
	}
}

// TestReadme_ModuleOfYourOwn creates a program that uses a checkout, as the README says.
func TestReadme_ModuleOfYourOwn(t *testing.T) {
	dir := t.TempDir()
	whole, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(whole, filepath.Join(dir, "multipeer")); err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, "mine")
	if err := os.Mkdir(mine, 0o755); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile("(?ms)^```go\n(.*?)^```").FindStringSubmatch(page(t, "README.md"))
	if err := os.WriteFile(filepath.Join(mine, "main.go"), []byte(m[1]), 0o644); err != nil {
		t.Fatal(err)
	}
	const edit = "go mod edit -require multipeer@v0.0.0 -replace multipeer=../multipeer && go mod tidy"
	if commands[edit] != here {
		t.Fatal("the README has changed")
	}
	for _, line := range []string{"go mod init mine", edit, "go build ."} {
		c := exec.Command("sh", "-c", line)
		c.Dir = mine
		c.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", line, err, out)
		}
	}
}

// TestSynopsis runs every command of docs/cli.md with every one of its flags, between two hosts.
func TestSynopsis(t *testing.T) {
	lan := netlab.New(t, 2)
	dir := t.TempDir()
	file := filepath.Join(dir, "f.txt")
	if err := os.WriteFile(file, []byte("hello"), 0o644); err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	note := func(args []string) {
		name := args[0]
		used[name] = true
		for _, a := range args[1:] {
			if strings.HasPrefix(a, "-") {
				used[name+" "+a] = true
			}
		}
		if name == "pair" && len(args) > 1 && !strings.HasPrefix(args[1], "-") {
			used["pair "+args[1]] = true
		}
	}
	at := func(i int, profile string, args ...string) *exec.Cmd {
		note(args)
		c := lan.Host(i).Command(t.Context(), append([]string{cli, "--profile", filepath.Join(dir, profile), "--name", profile, "--json"}, args...)...)
		c.Dir = dir
		return c
	}
	doWith := func(input string, i int, profile string, code int, args ...string) string {
		t.Helper()
		c := at(i, profile, args...)
		c.Stdin = strings.NewReader(input + "\n")
		out, err := c.CombinedOutput()
		if c.ProcessState == nil || c.ProcessState.ExitCode() != code {
			t.Errorf("%q: %v, want %d: %s", args, err, code, out)
		}
		return string(out)
	}
	do := func(i int, profile string, code int, args ...string) string {
		t.Helper()
		return doWith("a line", i, profile, code, args...)
	}
	id := func(profile string) string {
		var self struct{ ID string }
		if err := json.Unmarshal([]byte(do(1, profile, 0, "id")), &self); err != nil || self.ID == "" {
			t.Fatalf("the ID of %s: %v", profile, err)
		}
		return self.ID
	}
	do(1, "Api", 0, "api")
	// background starts a command that keeps running, and reads its lines.
	endsItself := false
	background := func(i int, profile, kind string, args ...string) (first map[string]any, end func()) {
		t.Helper()
		c := at(i, profile, args...)
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if json.Unmarshal(lines.Bytes(), &first) == nil && first["type"] == kind {
				break
			}
		}
		read := make(chan struct{})
		go func() {
			defer close(read)
			for lines.Scan() {
			}
		}()
		return first, func() {
			t.Helper()
			if !endsItself {
				_ = c.Process.Signal(syscall.SIGINT)
			}
			select {
			case <-read:
			case <-time.After(30 * time.Second):
				t.Errorf("%q does not end", args)
				_ = c.Process.Kill()
				<-read
			}
			if err := c.Wait(); err != nil {
				t.Errorf("%q: %v", args, err)
			}
		}
	}
	anna, ben := id("anna"), id("ben")
	_, ended := background(2, "ben", "self", "serve", "--into", "inbox", "--accept", "all", "--existing", "skip", "--reread", "--reserve", "1000")
	do(1, "anna", 0, "send", "--to", "ben", "--wait", "10s", "--links", "--as", "g.txt", "--note", "hi", file)
	do(1, "anna", 0, "ping", "--to", "ben", "-n", "20", "--mode", "unreliable", "--wait", "10s")
	do(1, "anna", 0, "chat", "--to", "ben", "--wait", "10s")
	do(1, "anna", 0, "peers", "--for", "1s", "--search")
	do(1, "anna", 0, "doctor")
	do(1, "anna", 0, "doctor", "--to", lan.Host(2).Addr)
	if out := do(2, "ben", 0, "history", "--with", "anna", "--search", "a line", "-n", "5"); !strings.Contains(out, `"text":"a line"`) {
		t.Errorf("history: %s", out)
	}
	do(2, "ben", 0, "serve", "--stop")
	ended()

	_, end := background(2, "ben", "self", "serve", "--no-history")
	end()
	endsItself = true // a moment after the other side
	link, endLink := background(2, "ben", "link", "pair", "link")
	doWith(fmt.Sprint(link["link"]), 1, "anna", 0, "pair", "--to", "-", "--wait", "10s")
	endLink()
	endsItself = false
	do(1, "anna", 0, "trust", ben, "verified")
	do(2, "ben", 0, "auto", "anna", "--up-to", "2GB", "--into", "taken", "--days", "3")
	do(2, "ben", 0, "auto")
	do(2, "ben", 0, "trust", "list")

	// A device with only a browser downloads a file, and sends one.
	endsItself = true
	share, endShare := background(2, "ben", "link", "link", "--once", "--text", "hi", "--visitors", "2", "--idle", "1m", "--for", "2m", file)
	if out := visit(t, lan.Host(1), share); out != "hello" {
		t.Errorf("downloaded %q", out)
	}
	endShare()
	take, endTake := background(2, "ben", "link", "link", "--receive", "--into", "uploads", "--accept", "all", "--pin", "--once")
	visit(t, lan.Host(1), take, "from a browser")
	endTake()
	endsItself = false
	if b, err := os.ReadFile(filepath.Join(dir, "uploads", "sent.txt")); err != nil || string(b) != "from a browser" {
		t.Errorf("uploaded: %q, %v", b, err)
	}

	// An interrupted transfer stays in the outbox and waits for its receiver.
	do(1, "anna", 3, "send", "--to", "ben", "--wait", "1s", file)
	c := at(2, "ben", "receive", "--into", "asked", "--accept", "verified", "--once", "--existing", "keep", "--reread", "--keep-executable", "--links", "--reserve", "-1")
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	do(1, "anna", 0, "send", "--to", "ben", file)
	if err := c.Wait(); err != nil { // the auto rule lets Anna send
		t.Errorf("receive: %v: %s", err, said.String())
	}
	if b, err := os.ReadFile(filepath.Join(dir, "taken", "f.txt")); err != nil || string(b) != "hello" {
		t.Errorf("taken without asking: %q, %v", b, err)
	}
	do(2, "ben", 0, "auto", anna, "--off")
	do(1, "anna", 0, "outbox", "--deliver")
	do(1, "anna", 2, "outbox", "--drop", "nothing")
	for _, sh := range []string{"bash", "zsh", "fish", "powershell"} {
		if out := do(1, "anna", 0, "completion", sh); len(out) < 1000 {
			t.Errorf("completion %s: %s", sh, out)
		}
	}
	note([]string{"pair", "confirm", "--to"}) // internal/cli/pair_test.go: the digits are typed there
	if !strings.Contains(page(t, "internal/cli/pair_test.go"), `"pair", "confirm"`) {
		t.Error("nothing runs pair confirm")
	}
	note([]string{"serve", "--at-login"}) // internal/cli/testdata/atlogin.txt, with a replacement for systemd
	if !strings.Contains(page(t, "internal/cli/testdata/atlogin.txt"), "--at-login on") {
		t.Error("nothing runs serve --at-login")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := exec.CommandContext(ctx, cli, "--help").Run(); err != nil {
		t.Error(err)
	}

	n := 0
	for _, m := range regexp.MustCompile(`(?m)^multipeer-cli (\w+)(?: (confirm|link))?(.*)$`).FindAllStringSubmatch(regexp.MustCompile(`\n {2,}\[`).ReplaceAllString(page(t, "docs/cli.md"), " ["), -1) {
		n++
		if !used[m[1]] || m[2] != "" && !used[m[1]+" "+m[2]] {
			t.Errorf("multipeer-cli %s %s was not run", m[1], m[2])
		}
		synopsis, _, _ := strings.Cut(m[3], "   ")
		for _, flag := range regexp.MustCompile(`(?:^|[ \[])(--?[a-z-]+)`).FindAllStringSubmatch(synopsis, -1) {
			if !used[m[1]+" "+flag[1]] {
				t.Errorf("multipeer-cli %s %s was not run", m[1], flag[1])
			}
		}
	}
	if n < 14 {
		t.Errorf("the synopsis has %d commands", n)
	}
}

// TestLongCommands runs commands that take minutes, change the machine or write pages of the docs. MULTIPEER_LONG is
// 1 for all of them, or a part of the command.
func TestLongCommands(t *testing.T) {
	which := os.Getenv("MULTIPEER_LONG")
	if which == "" {
		t.Skip("MULTIPEER_LONG=1 runs all of them, for an hour")
	}
	for _, c := range slices.Sorted(maps.Keys(commands)) {
		if commands[c] != long || which != "1" && !strings.Contains(c, which) {
			continue
		}
		t.Run(c, func(t *testing.T) {
			line := strings.NewReplacer("REGEXP", "'Hello'", "folder ", t.TempDir()+" ").Replace(c)
			if line == "make fuzz" {
				line = "make fuzz FUZZTIME=5s"
			}
			sh := exec.Command("sh", "-c", line)
			sh.Dir = root
			sh.Env = slices.DeleteFunc(os.Environ(), func(e string) bool { return strings.HasPrefix(e, "MULTIPEER_") })
			began := time.Now()
			if out, err := sh.CombinedOutput(); err != nil {
				t.Errorf("%v: %s", err, tail(string(out)))
			}
			t.Logf("%v", time.Since(began).Round(time.Second))
		})
	}
}
