package engine_test

import (
	"errors"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"multipeer/engine"
	"multipeer/engine/enginetest"
)

func TestPath_ReportsAddressesAndLoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := enginetest.New(t, 10*time.Millisecond)
		a, b, _, _ := pair(t, net)
		collect(t, b)
		if p, err := a.Path(b.Self().ID); err != nil || p.Loss != 0 {
			t.Fatalf("before any loss: %+v %v", p, err)
		}
		net.Lose(0.2)
		for i := range 200 {
			if _, err := a.Send(t.Context(), strings.Repeat(strconv.Itoa(i%10), 1000), engine.Broadcast); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(10 * time.Second) // until the last loss was noticed
		p, err := a.Path(b.Self().ID)
		if err != nil || p.Remote != b.Addr || p.Local != a.Addr {
			t.Fatalf("%+v %v", p, err)
		}
		if p.RTT < 20*time.Millisecond || p.RTT > 100*time.Millisecond || p.BytesSent == 0 || p.BytesReceived == 0 {
			t.Errorf("%+v", p)
		}
		if p.Loss == 0 || p.Loss > 0.5 {
			t.Errorf("loss %v", p.Loss)
		}
		if _, err := a.Path(a.Self().ID); !errors.Is(err, engine.ErrNoPeer) {
			t.Errorf("to itself: %v", err)
		}
	})
}
