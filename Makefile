# Everything here works on a fresh machine with Go, git and make: what else is needed is installed, if it is missing.

.PHONY: help run test test-long check demo cli bench figures pictures licences architecture package archives wheels fuzz guards clean

help:
	@echo "make run       open the window (without a display: the same engine in the terminal)"
	@echo "make demo      two peers on this machine find each other, chat, and send a folder"
	@echo "make test      the tests of all packages, in some ten minutes"
	@echo "make test-long what wants the machine for itself: attacks, the real window, real networks, a long run"
	@echo "make check     formatting, vet for Linux, Windows and macOS, staticcheck"
	@echo "make cli       build/multipeer-cli, one static binary"
	@echo "make bench     speed and round trips beside the ceilings of this machine and beside rivals; writes docs/performance.md"
	@echo "make package   build/packages: .deb and tar.xz with the window, a Windows program, archives of the terminal program"
	@echo "make wheels    build/wheels: the Python package for six systems, with the terminal program inside"
	@echo "make archives  the archives of the terminal program alone"
	@echo "make fuzz      each fuzz target for a minute (FUZZTIME=1m)"
	@echo "make guards    takes each guard against hostile peers out of the code; its test has to fail"
	@echo "make figures   what the window costs: start, memory, idling, scrolling; writes docs/figures.md"
	@echo "make pictures  build/pictures: every state of the window; updates those that the pages show"
	@echo "make architecture  the picture of docs/architecture.md, from the imports"
	@echo "make licences  the licences of everything that is built in, which the window shows"

run:
	@sh scripts/deps.sh go
	@sh scripts/run.sh

test:
	@sh scripts/deps.sh go build test
	@sh scripts/test.sh

test-long:
	@sh scripts/deps.sh go build test browser
	@sh scripts/test.sh -long

check:
	@sh scripts/deps.sh go build
	@sh scripts/check.sh

demo:
	@sh scripts/deps.sh go
	@CGO_ENABLED=0 go run ./tools/demo

cli:
	@sh scripts/deps.sh go
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o build/multipeer-cli ./cmd/multipeer-cli

bench:
	@sh scripts/deps.sh go bench
	@CGO_ENABLED=0 go build -C bench -o ../build/bench .
	@build/bench -report docs/performance.md
	@echo "a simulated line of 1 Gbit/s, 1 ms and a queue of 512 KB"
	@CGO_ENABLED=0 go test -count=1 -v -run TestLatencyWhileAFileMoves ./engine | sed -n "s/^ *latency_test.go:[0-9]*: /  /p"

package:
	@sh scripts/deps.sh go build package
	@sh scripts/package.sh

wheels:
	@sh scripts/deps.sh go python
	@sh scripts/wheels.sh

archives:
	@sh scripts/deps.sh go
	@sh scripts/package.sh archives

FUZZTIME ?= 1m
fuzz:
	@sh scripts/deps.sh go
	@sh scripts/fuzz.sh $(FUZZTIME)

guards:
	@sh scripts/deps.sh go
	@CGO_ENABLED=0 go run ./tools/checkguards

figures:
	@sh scripts/deps.sh go build test
	@MULTIPEER_FULL=1 MULTIPEER_FIGURES=$(CURDIR)/docs/figures.md go test -count=1 -tags migrated_fynedo -run TestFigures ./internal/testing/window
	@cat docs/figures.md

licences:
	@sh scripts/deps.sh go
	@CGO_ENABLED=0 go run ./tools/licences

architecture:
	@sh scripts/deps.sh go
	@CGO_ENABLED=0 go run ./tools/architecture

pictures:
	@sh scripts/deps.sh go build test
	@sh scripts/pictures.sh

clean:
	rm -rf build
