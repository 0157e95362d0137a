package desktop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// displayWait is how long to wait for a display on another machine to answer.
const displayWait = 5 * time.Second

// FindDisplay finds the display to open the window on; the error gives the reason if there is none. GLFW, which draws
// the window, panics without a display. It tries Wayland first, and prints an error if Wayland is missing.
func FindDisplay() error {
	x, wayland := os.Getenv("DISPLAY"), os.Getenv("WAYLAND_DISPLAY")
	if x == "" && wayland == "" {
		return errors.New("there is no display (neither DISPLAY nor WAYLAND_DISPLAY is set)")
	}
	if wayland != "" && answers("unix", waylandSocket(wayland)) {
		return nil
	}
	if x == "" {
		return fmt.Errorf("the display %q (WAYLAND_DISPLAY) does not answer", wayland)
	}
	network, address, err := xServer(x)
	if err != nil {
		return err
	}
	// An X server on this machine may listen only on an abstract socket.
	if answers(network, address) || network == "unix" && answers("unix", "@"+address) {
		if os.Getenv("FYNE_PLATFORM") == "" {
			return os.Setenv("FYNE_PLATFORM", "x11")
		}
		return nil
	}
	return fmt.Errorf("the display %q (DISPLAY) does not answer", x)
}

func waylandSocket(display string) string {
	if filepath.IsAbs(display) {
		return display
	}
	return filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), display)
}

// xServer returns the address that a display's X server listens on: [HOST]:NUMBER[.SCREEN] (X(7), section "Display
// names").
func xServer(display string) (network, address string, err error) {
	colon := strings.LastIndex(display, ":")
	if colon < 0 {
		return "", "", fmt.Errorf("the display %q (DISPLAY) is not written as HOST:NUMBER", display)
	}
	host := strings.TrimSuffix(display[:colon], ":")
	number, _, _ := strings.Cut(display[colon+1:], ".")
	n, err := strconv.ParseUint(number, 10, 15)
	if err != nil {
		return "", "", fmt.Errorf("the display %q (DISPLAY) is not written as HOST:NUMBER", display)
	}
	if host == "" || host == "unix" {
		return "unix", fmt.Sprintf("/tmp/.X11-unix/X%d", n), nil
	}
	return "tcp", net.JoinHostPort(host, strconv.FormatUint(6000+n, 10)), nil
}

func answers(network, address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), displayWait)
	defer cancel()
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return false
	}
	_ = c.Close()
	return true
}
