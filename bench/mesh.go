package main

import (
	"context"
	"fmt"
	"net"
	"runtime"
	"sync"
	"time"

	"multipeer/engine"
)

// measureMesh connects n engines in this process, fully connected, over the loopback interface, and prints the cost of
// a session. Every session is counted at both of its ends.
func measureMesh(n int) error {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	shared := &registry{}
	all := make([]*engine.Engine, n)
	for i := range all {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			return err
		}
		defer c.Close()
		e, err := engine.New(engine.Config{
			Name: fmt.Sprint("peer ", i), Invite: engine.Everyone, Accept: engine.Everyone, PacketConn: c,
			Discovery: shared.member(c.LocalAddr().(*net.UDPAddr).AddrPort()),
		})
		if err != nil {
			return err
		}
		all[i] = e
	}
	before := usage()
	began := time.Now()
	var failed error
	for _, e := range all {
		running.Go(func() {
			if err := e.Run(ctx); err != nil {
				failed = err
			}
		})
	}
	ends := 0
	for ends < n*(n-1) {
		if time.Since(began) > 2*time.Minute {
			return fmt.Errorf("mesh: %d of %d ends of sessions after %v: %v", ends, n*(n-1), time.Since(began).Round(time.Second), failed)
		}
		time.Sleep(20 * time.Millisecond)
		ends = 0
		for _, e := range all {
			for _, p := range e.Peers() {
				if p.State == engine.Connected {
					ends++
				}
			}
		}
	}
	took := time.Since(began)
	time.Sleep(2 * time.Second)
	after := usage()
	fmt.Printf("%d peers in one process, fully connected: %d sessions in %.1f s\n", n, ends/2, took.Seconds())
	fmt.Printf("  memory        %7.1f KiB for each end of a session (heap and stacks)\n", float64(after.bytes-before.bytes)/1024/float64(ends))
	fmt.Printf("  goroutines    %7.1f for each end of a session\n", float64(after.goroutines-before.goroutines)/float64(ends))
	return nil
}

type used struct {
	bytes      int64
	goroutines int
}

func usage() used {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return used{int64(m.HeapInuse + m.StackInuse), runtime.NumGoroutine()}
}
