package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// missing lists the programs to compare with that are not installed.
func missing() (names []string) {
	for _, name := range []string{"rsync", "nc", "iperf3", "croc"} {
		if _, err := exec.LookPath(name); err != nil {
			names = append(names, name)
		}
	}
	return names
}

// rivals returns the installed programs that a user could use instead.
func rivals(at *line, j job) []contender {
	has := func(names ...string) bool {
		for _, n := range names {
			if _, err := exec.LookPath(n); err != nil {
				return false
			}
		}
		return true
	}
	var all []contender
	if has("rsync") {
		all = append(all, contender{
			name: "rsync daemon (not encrypted)", kind: "rival", stays: true,
			recv: func(at *line, _ job, out string) []string {
				conf := filepath.Join(filepath.Dir(out), "rsyncd.conf")
				text := fmt.Sprintf("use chroot = no\nuid = %d\ngid = %d\nlog file = /dev/null\n[out]\npath = %s\nread only = no\n", os.Getuid(), os.Getgid(), out)
				if os.WriteFile(conf, []byte(text), 0o600) != nil {
					return []string{"false"}
				}
				return []string{"rsync", "--daemon", "--no-detach", "--port", port, "--address", at.to, "--config", conf}
			},
			send: func(at *line, j job, _ string) []string {
				how := "--whole-file"
				if j.again {
					how = "--checksum"
				}
				return []string{"rsync", "-a", how, j.path, fmt.Sprintf("rsync://%s:%s/out/", at.to, port)}
			},
		})
	}
	if j.again {
		return all
	}
	if has("tar", "nc", "sh") {
		all = append(all, contender{
			name: "tar and nc (not encrypted)", kind: "rival",
			recv: func(at *line, _ job, out string) []string {
				return []string{"sh", "-c", fmt.Sprintf("nc -l -N %s %s | tar -xf - -C %s", at.to, port, out)}
			},
			send: func(at *line, j job, _ string) []string {
				return []string{"sh", "-c", fmt.Sprintf("tar -cf - -C %s %s | nc -N %s %s", filepath.Dir(j.path), filepath.Base(j.path), at.to, port)}
			},
		})
	}
	if has("croc") && at.name == "loopback" {
		all = append(all, contender{
			name: "croc", kind: "rival",
			recv: func(_ *line, _ job, out string) []string {
				return []string{"sh", "-c", fmt.Sprintf("cd %s && CROC_SECRET=bench-bench-bench exec croc --yes", out)}
			},
			send: func(_ *line, j job, _ string) []string {
				return []string{"sh", "-c", "CROC_SECRET=bench-bench-bench exec croc send " + j.path}
			},
		})
	}
	return all
}

// wires measure the throughput of one TCP connection, with the usual congestion control and with BBR.
func wires(at *line) []contender {
	if _, err := exec.LookPath("iperf3"); err != nil {
		return nil
	}
	var all []contender
	for _, cc := range []string{"cubic", "bbr"} {
		all = append(all, contender{
			name: "iperf3, one TCP connection, " + cc, kind: "wire", silent: true,
			recv: func(at *line, _ job, _ string) []string {
				return []string{"iperf3", "-s", "-1", "-B", at.to, "-p", port}
			},
			send: func(at *line, _ job, _ string) []string {
				return []string{"iperf3", "-c", at.to, "-p", port, "-C", cc, "-t", "6"}
			},
		})
	}
	return all
}
