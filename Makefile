# Everything here works on a fresh machine with Go, git and make. Other tools are installed if they are missing.

.PHONY: help run test test-long check demo cli bench figures pictures licences architecture package archives wheels fuzz guards clean

help:
	@echo "make run       open the window (without a display: the same engine in the terminal)"
	@echo "make demo      run two peers on this machine that find each other, chat, and send a folder"
	@echo "make test      run the tests of all packages (about ten minutes)"
	@echo "make test-long run the tests that need the machine to themselves: attacks, the real window, real networks, a long run"
	@echo "make check     check formatting, vet for Linux, Windows and macOS, and staticcheck"
	@echo "make cli       build build/multipeer-cli, a static binary"
	@echo "make bench     measure speed and round trips, compared with the limits of this machine and with other programs; writes docs/performance.md"
	@echo "make package   build packages in build/packages: .deb and tar.xz with the window, a Windows program, archives of the command-line tool"
	@echo "make wheels    build the Python package for six systems in build/wheels, including the command-line tool"
	@echo "make archives  build only the archives of the command-line tool"
	@echo "make fuzz      run each fuzz target for a minute (FUZZTIME=1m)"
	@echo "make guards    remove each guard against hostile peers from the code in turn, and check that its test fails"
	@echo "make figures   measure the window: start, memory, idle CPU time, scrolling; writes docs/figures.md"
	@echo "make pictures  draw every state of the window in build/pictures, and update the pictures in docs"
	@echo "make architecture  draw the diagram in docs/architecture.md from the imports"
	@echo "make licences  collect the licences of all modules that are built in, which the window shows"

run:
	@sh scripts/deps.sh go
	@trap : INT; sh scripts/run.sh || { code=$$?; [ $$code = 130 ] || exit $$code; } # Ctrl-C is no error

test:
	@sh scripts/deps.sh go build test
	@sh scripts/test.sh

test-long:
	@sh scripts/deps.sh go build test browser
	@sh scripts/test.sh -long

check:
	@sh scripts/deps.sh go build check
	@sh scripts/check.sh

demo:
	@sh scripts/deps.sh go
	@echo "Compiling; the first time takes about a minute on two processors."
	@CGO_ENABLED=0 sh scripts/progress.sh "compiled" go build -v -o build/ ./tools/demo ./cmd/multipeer-cli
	@build/demo

cli:
	@sh scripts/deps.sh go
	CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o build/multipeer-cli ./cmd/multipeer-cli

bench:
	@sh scripts/deps.sh go bench
	@CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o build/multipeer-cli ./cmd/multipeer-cli
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
