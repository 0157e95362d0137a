package cli

import (
	"fmt"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"multipeer-cli": func() {
		beginWait = 5 * time.Second // nothing in these tests takes longer to start
		os.Exit(Main())
	}})
}

// TestScripts runs the program as a shell would; peers meet on the loopback interface.
func TestScripts(t *testing.T) {
	var scripts atomic.Int64
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(e *testscript.Env) error {
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("XDG_CONFIG_HOME", e.WorkDir+"/config")
			// Separates this test from the others.
			e.Setenv("SERVICE", fmt.Sprintf("t%d-%d", os.Getpid(), scripts.Add(1)))
			all, _ := net.Interfaces()
			for _, i := range all {
				if i.Flags&net.FlagLoopback != 0 {
					e.Setenv("LOOPBACK", i.Name)
				}
			}
			return nil
		},
		Condition: func(cond string) (bool, error) { return cond == "permissions" && os.PathSeparator == '/', nil },
	})
}

func TestJSON_PeerTextIsEscaped(t *testing.T) {
	var out strings.Builder
	p := newPrinter(&out, &out)
	p.json = true
	p.object(map[string]string{"name": "a\x1b[31m\u202e\u009b\U000E0041é"})
	if got := out.String(); got != `{"name":"a\u001b[31m\u202e\u009b\udb40\udc41é"}`+"\n" {
		t.Error(got)
	}
}

func TestIsAddress(t *testing.T) {
	for s, want := range map[string]bool{
		"192.168.1.20": true, "192.168.1.20:17717": true, "[fe80::1%eth0]:17717": true, "kitchen.local:17717": true, "::1": true,
		"Anna": false, "Anna's Mac": false, "aeaqcaiba": false, "1.2": false, "a:b": false,
	} {
		if got := isAddress(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
}
