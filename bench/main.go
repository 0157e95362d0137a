// Command bench prints how fast transfers and messages are beside the ceilings
// of this machine, all in one run over the loopback interface, and what a mesh
// of many peers costs. Ratios count; absolute figures are those of the machine
// and the moment.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"multipeer/engine"
)

func main() {
	size := flag.Int64("size", 512<<20, "bytes of the large file")
	files := flag.Int("files", 10_000, "how many small files of 4 KiB")
	runs := flag.Int("runs", 3, "runs of each; the median is printed")
	mesh := flag.Int("mesh", 64, "peers of the mesh; 0 leaves it out")
	dir := flag.String("dir", os.TempDir(), "where files are written")
	flag.Parse()
	err := bench(*dir, *size, *files, *runs)
	if err == nil && *mesh > 0 {
		err = measureMesh(*mesh)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func bench(parent string, size int64, files, runs int) error {
	dir, err := os.MkdirTemp(parent, "multipeer-bench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	large, tree := filepath.Join(dir, "large"), filepath.Join(dir, "tree")
	if err := makeFiles(large, size, tree, files); err != nil {
		return err
	}
	p, err := newPair(dir)
	if err != nil {
		return err
	}
	defer p.close()

	var cp, tcp, ours, small []float64
	for range runs { // in turn, so that a machine that slows down slows all of them
		for _, m := range []struct {
			into *[]float64
			do   func() error
		}{
			{&cp, func() error { return copyFile(large, filepath.Join(dir, "cp")) }},
			{&tcp, func() error { return overTLS(large, filepath.Join(dir, "tls")) }},
			{&ours, func() error { return p.send(large) }},
			{&small, func() error { return p.send(tree) }},
		} {
			began := time.Now()
			if err := m.do(); err != nil {
				return err
			}
			*m.into = append(*m.into, time.Since(began).Seconds())
		}
	}
	mb := float64(size) / 1e6
	rate := func(s []float64) float64 { return mb / median(s) }
	fmt.Printf("one file of %.0f MB, disk to disk, durable at the end\n", mb)
	fmt.Printf("  cp and fsync          %7.0f MB/s   1\n", rate(cp))
	fmt.Printf("  TLS 1.3 over TCP      %7.0f MB/s   %.2f of cp\n", rate(tcp), rate(tcp)/rate(cp))
	fmt.Printf("  Multipeer, one lane   %7.0f MB/s   %.2f of cp, %.2f of TLS over TCP\n", rate(ours), rate(ours)/rate(cp), rate(ours)/rate(tcp))
	fmt.Printf("%d files of 4 KiB\n", files)
	fmt.Printf("  Multipeer             %7.0f files/s  %.1f MB/s\n", float64(files)/median(small), float64(files)*4096/1e6/median(small))
	return p.latency(large, runs)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

func makeFiles(large string, size int64, tree string, files int) error {
	block := make([]byte, 1<<20)
	_, _ = rand.Read(block)
	f, err := os.Create(large)
	if err != nil {
		return err
	}
	for n := int64(0); n < size; n += int64(len(block)) {
		if _, err := f.Write(block); err != nil {
			return err
		}
	}
	if err := f.Close(); err != nil {
		return err
	}
	for i := range files {
		p := filepath.Join(tree, fmt.Sprintf("%03d/%05d", i/100, i))
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(p, block[:4096], 0o644); err != nil {
			return err
		}
	}
	return nil
}

func save(r io.Reader, to string) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer os.Remove(to)
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, struct{ io.Reader }{r}, make([]byte, 1<<20)); err != nil {
		return err
	}
	return f.Sync()
}

func copyFile(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	return save(f, to)
}

// overTLS is the best simple design: one TLS stream over TCP with large writes.
func overTLS(from, to string) error {
	cert, err := certificate()
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	defer l.Close()
	done := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			defer c.Close()
			err = save(c, to)
		}
		done <- err
	}()
	c, err := tls.Dial("tcp", l.Addr().String(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		return err
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{c}, struct{ io.Reader }{f}, make([]byte, 1<<20)); err != nil {
		return err
	}
	if err := c.Close(); err != nil {
		return err
	}
	return <-done
}

// pair is two engines on the loopback interface.
type pair struct {
	a, b   *engine.Engine
	dir    string
	cancel context.CancelFunc
	ended  chan error
	count  int
}

func newPair(dir string) (*pair, error) {
	p := &pair{dir: dir, ended: make(chan error, 2)}
	var ctx context.Context
	ctx, p.cancel = context.WithCancel(context.Background())
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	for i, cfg := range []engine.Config{
		{Name: "a", Hidden: true, Blind: true, Interfaces: []string{"lo", "lo0"}, Port: port, Accept: engine.Everyone},
		{Name: "b", Hidden: true, Blind: true, Interfaces: []string{"lo", "lo0"}, Dial: []string{fmt.Sprintf("127.0.0.1:%d", port)}, Invite: engine.Everyone},
	} {
		e, err := engine.New(cfg)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			p.a = e
		} else {
			p.b = e
		}
		go func() { p.ended <- e.Run(ctx) }()
	}
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for ev := range p.a.Watch(limit) {
		if _, ok := ev.(engine.PeerAdded); ok {
			return p, nil
		}
		if s, ok := ev.(engine.Snapshot); ok && len(s.Peers) > 0 && s.Peers[0].State == engine.Connected {
			return p, nil
		}
	}
	return nil, fmt.Errorf("the two engines did not meet")
}

func freePort() (int, error) {
	c, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.LocalAddr().(*net.UDPAddr).Port, nil
}

func (p *pair) close() {
	p.cancel()
	<-p.ended
	<-p.ended
}

// send moves a path from a to b and removes it there.
func (p *pair) send(path string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	p.count++
	inbox := filepath.Join(p.dir, fmt.Sprintf("inbox%d", p.count))
	accepted := make(chan error, 1)
	events := p.b.Watch(ctx)
	go func() {
		for ev := range events {
			if o, ok := ev.(engine.OfferReceived); ok {
				accepted <- o.Offer.Accept(engine.AcceptOptions{Dir: inbox})
				return
			}
		}
	}()
	t, err := p.a.Offer(ctx, p.b.Self().ID, path)
	if err != nil {
		return err
	}
	if err := <-accepted; err != nil {
		return err
	}
	if t, err = p.a.Wait(ctx, t.ID); err != nil {
		return err
	}
	go os.RemoveAll(inbox)
	return t.Err
}
