package main

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"multipeer/engine"

	"github.com/quic-go/quic-go"
)

// role runs one process of a contender: NAME PORT OUT, or NAME ADDRESS PATH, followed by the contender's own options.
func role(args []string) error {
	if len(args) < 3 {
		return errors.New("usage: role NAME (PORT OUT | ADDRESS PATH)")
	}
	more := args[3:]
	switch args[0] {
	case "mp-recv":
		return receiveOurs(args[1], args[2], more)
	case "mp-send":
		return sendOurs(args[1], args[2], more)
	case "mp-ping":
		return pingOurs(args[1], args[2])
	case "recv-tcp", "recv-tls":
		return receiveStream(args[1], args[2], args[0] == "recv-tls")
	case "send-tcp", "send-tls":
		return sendStream(args[1], args[2], args[0] == "send-tls")
	case "recv-quic":
		return receiveQUIC(args[1], args[2], more)
	case "send-quic":
		return sendQUIC(args[1], args[2], more)
	}
	return fmt.Errorf("no role %q", args[0])
}

const buffer = 1 << 20 // bytes of one read or write

// sendTree writes everything below path: for each file the length of its name, the name, its size, its content.
func sendTree(w io.Writer, path string) error {
	buf := make([]byte, buffer)
	top := filepath.Dir(path)
	return filepath.WalkDir(path, func(p string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		rel, _ := filepath.Rel(top, p)
		head := binary.BigEndian.AppendUint16(nil, uint16(len(rel)))
		head = binary.BigEndian.AppendUint64(append(head, rel...), uint64(info.Size()))
		if info.Size() < buffer/2 { // a small file and its header in one write
			n, err := io.ReadFull(f, buf[len(head):len(head)+int(info.Size())])
			if err != nil {
				return err
			}
			copy(buf, head)
			_, err = w.Write(buf[:len(head)+n])
			return err
		}
		if _, err := w.Write(head); err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{w}, struct{ io.Reader }{f}, buf)
		return err
	})
}

// receiveTree writes what it receives from sendTree to a folder.
func receiveTree(r io.Reader, out string) error {
	buf := make([]byte, buffer)
	made := ""
	for {
		var n [8]byte
		if _, err := io.ReadFull(r, n[:2]); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name := make([]byte, binary.BigEndian.Uint16(n[:2]))
		if _, err := io.ReadFull(r, name); err != nil {
			return err
		}
		if _, err := io.ReadFull(r, n[:]); err != nil {
			return err
		}
		p := filepath.Join(out, filepath.FromSlash(string(name)))
		if dir := filepath.Dir(p); dir != made {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				return err
			}
			made = dir
		}
		f, err := os.Create(p)
		if err != nil {
			return err
		}
		_, err = io.CopyBuffer(struct{ io.Writer }{f}, io.LimitReader(struct{ io.Reader }{r}, int64(binary.BigEndian.Uint64(n[:]))), buf)
		if closeErr := f.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
}

func receiveStream(port, out string, encrypted bool) error {
	l, err := net.Listen("tcp", ":"+port)
	if err != nil {
		return err
	}
	defer l.Close()
	fmt.Println("READY")
	c, err := l.Accept()
	if err != nil {
		return err
	}
	defer c.Close()
	if encrypted {
		cfg, err := serverTLS()
		if err != nil {
			return err
		}
		c = tls.Server(c, cfg)
	}
	if err := receiveTree(c, out); err != nil {
		return err
	}
	_, err = c.Write([]byte("K")) // everything is written
	return err
}

func sendStream(to, path string, encrypted bool) error {
	tcp, err := net.Dial("tcp", to)
	if err != nil {
		return err
	}
	defer tcp.Close()
	var c interface {
		net.Conn
		CloseWrite() error
	} = tcp.(*net.TCPConn)
	if encrypted {
		c = tls.Client(tcp, clientTLS())
	}
	if err := sendTree(c, path); err != nil {
		return err
	}
	if err := c.CloseWrite(); err != nil {
		return err
	}
	_, err = io.ReadFull(c, make([]byte, 1))
	return err
}

func conns(more []string) int {
	if len(more) > 0 {
		if n, err := strconv.Atoi(more[0]); err == nil {
			return n
		}
	}
	return 1
}

// The bare QUIC contender moves one file: each connection carries every n-th mebibyte, preceded by its offset.
func receiveQUIC(port, out string, more []string) error {
	cfg, err := serverTLS()
	if err != nil {
		return err
	}
	l, err := quic.ListenAddr(":"+port, cfg, nil)
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := os.Create(filepath.Join(out, "large"))
	if err != nil {
		return err
	}
	defer f.Close()
	fmt.Println("READY")
	var wg sync.WaitGroup
	errs := make([]error, conns(more))
	for i := range errs {
		c, err := l.Accept(context.Background())
		if err != nil {
			return err
		}
		wg.Go(func() { errs[i] = receiveParts(c, f) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func receiveParts(c *quic.Conn, f *os.File) error {
	s, err := c.AcceptStream(context.Background())
	if err != nil {
		return err
	}
	buf := make([]byte, buffer)
	var head [16]byte
	for {
		if _, err := io.ReadFull(s, head[:]); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		off, n := int64(binary.BigEndian.Uint64(head[:])), binary.BigEndian.Uint64(head[8:])
		if _, err := io.ReadFull(s, buf[:n]); err != nil {
			return err
		}
		if _, err := f.WriteAt(buf[:n], off); err != nil {
			return err
		}
	}
	if _, err := s.Write([]byte("K")); err != nil {
		return err
	}
	_ = s.Close()
	<-c.Context().Done()
	return nil
}

func sendQUIC(to, path string, more []string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	n := conns(more)
	var wg sync.WaitGroup
	errs := make([]error, n)
	for i := range n {
		wg.Go(func() { errs[i] = sendParts(to, f, int64(i)*buffer, int64(n)*buffer, info.Size()) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

func sendParts(to string, f *os.File, off, step, size int64) error {
	c, err := quic.DialAddr(context.Background(), to, clientTLS(), nil)
	if err != nil {
		return err
	}
	defer func() { _ = c.CloseWithError(0, "") }()
	s, err := c.OpenStreamSync(context.Background())
	if err != nil {
		return err
	}
	buf := make([]byte, 16+buffer)
	for ; off < size; off += step {
		n := min(buffer, size-off)
		if _, err := f.ReadAt(buf[16:16+n], off); err != nil {
			return err
		}
		binary.BigEndian.PutUint64(buf, uint64(off))
		binary.BigEndian.PutUint64(buf[8:], uint64(n))
		if _, err := s.Write(buf[:16+n]); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	_, err = io.ReadFull(s, make([]byte, 1))
	return err
}

// restrict applies the contender's options to the configuration: quic disables TCP, a number limits the lanes.
func restrict(cfg *engine.Config, more []string) {
	for _, m := range more {
		if n, err := strconv.Atoi(m); err == nil {
			cfg.MaxLanes = n
		}
		cfg.NoTCP = cfg.NoTCP || m == "quic"
	}
}

// runEngine runs an engine until stop is called.
func runEngine(cfg engine.Config) (e *engine.Engine, stop func() error, err error) {
	cfg.Hidden, cfg.Blind = true, true
	if e, err = engine.New(cfg); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- e.Run(ctx) }()
	for !e.Self().Running {
		select {
		case err := <-ended:
			cancel()
			return nil, nil, err
		case <-time.After(time.Millisecond):
		}
	}
	return e, func() error { cancel(); return <-ended }, nil
}

func receiveOurs(port, out string, more []string) error {
	n, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	cfg := engine.Config{Name: "receiver", Port: n, Accept: engine.Everyone, Offers: engine.Everyone}
	restrict(&cfg, more)
	e, stop, err := runEngine(cfg)
	if err != nil {
		return err
	}
	fmt.Println("READY")
	for ev := range e.Watch(context.Background()) {
		switch ev := ev.(type) {
		case *engine.Offer:
			if err := ev.Accept(engine.AcceptOptions{Dir: out, Reserve: -1}); err != nil {
				return err
			}
		case engine.Transfer:
			if ev.State.Final() {
				return errors.Join(ev.Err, stop())
			}
		}
	}
	return errors.New("the engine stopped before the transfer finished")
}

func sendOurs(to, path string, more []string) error {
	cfg := engine.Config{Name: "sender"}
	restrict(&cfg, more)
	e, stop, err := runEngine(cfg)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	id, err := e.Dial(ctx, to)
	if err != nil {
		return err
	}
	began := time.Now()
	t, err := e.Offer(ctx, id, path)
	if err != nil {
		return err
	}
	lanes := "none"
	var accepted, first time.Time
	for ev := range e.Watch(ctx) {
		var now engine.Transfer
		switch ev := ev.(type) {
		case engine.Transfer:
			now = ev
		case engine.Snapshot:
			for _, x := range ev.Transfers {
				if x.ID == t.ID {
					now = x
				}
			}
		}
		if now.ID != t.ID {
			continue
		}
		if accepted.IsZero() && now.State != engine.Offered {
			accepted = time.Now()
		}
		if first.IsZero() && now.Done > 0 {
			first = time.Now()
		}
		if len(now.Lanes) > 0 {
			count := map[string]int{}
			for _, l := range now.Lanes {
				count[l.Proto]++
			}
			lanes = fmt.Sprint(count)[3:]
		}
		if now.State.Final() {
			fmt.Printf("lanes %s, first progress reported %v after acceptance, receipt %v after the offer\n", lanes,
				first.Sub(accepted).Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
			return errors.Join(now.Err, stop())
		}
	}
	return ctx.Err()
}
