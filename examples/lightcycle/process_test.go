package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "lightcycle")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return bin
}

// TestProcesses plays a game among three real processes on loopback, with real multicast DNS and its own service type.
func TestProcesses(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a game in real time")
	}
	bin := build(t)
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	service := fmt.Sprintf("lc-%08x", rand.Uint32())
	const n = 3
	var outs, errs [n]bytes.Buffer
	var cmds [n]*exec.Cmd
	for i := range cmds {
		cmds[i] = exec.CommandContext(ctx, bin, "-robot", "-players", fmt.Sprint(n), "-name", fmt.Sprint("robot ", i),
			"-service", service, "-interface", "lo", "-seed", fmt.Sprint(i+1))
		cmds[i].Stdout, cmds[i].Stderr = &outs[i], &errs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	for i, cmd := range cmds {
		if err := cmd.Wait(); err != nil {
			t.Errorf("robot %d: %v\n%s%s", i, err, &outs[i], &errs[i])
		}
	}
	result := regexp.MustCompile(`(?m)^(winner: .*|draw)$`)
	want := result.FindString(outs[0].String())
	for i := range outs {
		if got := result.FindAllString(outs[i].String(), -1); want == "" || len(got) != 1 || got[0] != want {
			t.Errorf("robot %d reports %q, robot 0 %q\n%s", i, got, want, &outs[i])
		}
	}
	t.Log(want)
}

func TestNoTerminal(t *testing.T) {
	cmd := exec.Command(build(t), "-interface", "lo", "-service", fmt.Sprintf("lc-%08x", rand.Uint32()))
	cmd.Stdin = strings.NewReader("")
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not a terminal") || !strings.Contains(string(out), "-robot") {
		t.Errorf("%v\n%s", err, out)
	}
}
