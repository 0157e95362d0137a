package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"multipeer/engine"

	"github.com/spf13/cobra"
)

func (p *program) pingCommand() *cobra.Command {
	var to, mode string
	var count int
	var wait time.Duration
	c := &cobra.Command{
		Use: "ping --to PEER", Short: "Measure round-trip times to a peer", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]engine.PingMode{engine.PingReliable, engine.PingUnreliable, engine.PingStream}, engine.PingMode(mode)) {
				return exit(exitUsage, fmt.Errorf("--mode %q: must be reliable, unreliable or stream", mode))
			}
			if count < 1 {
				return exit(exitUsage, fmt.Errorf("-n %d: must be at least 1", count))
			}
			return p.with(cmd.Context(), engine.Config{Hidden: true}, func(ctx context.Context, e *engine.Engine) error {
				peer, err := p.find(ctx, e, to, wait)
				if err != nil {
					return err
				}
				return p.ping(ctx, e, peer, engine.PingMode(mode), count, cmd.Flags().Changed("count"))
			})
		},
	}
	c.Flags().StringVar(&to, "to", "", "peer: a name, an ID or the start of one, or HOST:PORT")
	c.Flags().StringVar(&mode, "mode", string(engine.PingReliable), "reliable, unreliable or stream")
	c.Flags().IntVarP(&count, "count", "n", 1000, "number of round trips; 200 if the peer is not connected, because pings are then limited")
	c.Flags().DurationVar(&wait, "wait", 10*time.Second, "how long to wait for the peer to appear")
	_ = c.MarkFlagRequired("to")
	return c
}

const (
	pingTimeout = time.Second
	warmUp      = 10 // round trips that are not counted
	// pacedPings is the default number of pings when they are rate-limited.
	pacedPings = 200
)

func (p *program) ping(ctx context.Context, e *engine.Engine, peer engine.Peer, mode engine.PingMode, count int, asked bool) error {
	if mode != engine.PingStream && !peer.HasSession() { // peers limit the rate of frames outside a session
		if !asked {
			count = pacedPings
		}
		p.out.note("without a session, pings are rate-limited: %d in total", count)
	}
	var trips []time.Duration
	lost := 0
	var interrupted error
	for i := range warmUp + count {
		one, cancel := context.WithTimeout(ctx, pingTimeout)
		rtt, err := e.Ping(one, peer.ID, mode)
		cancel()
		if ctx.Err() != nil { // which is why the last ping was not answered
			interrupted = errInterrupted
			break
		}
		switch {
		case err != nil && !errors.Is(err, engine.ErrTimeout):
			return failed(fmt.Errorf("pinging %s: %w", describe(peer), err))
		case i < warmUp:
		case err != nil:
			lost++
		default:
			trips = append(trips, rtt)
		}
	}
	count = len(trips) + lost
	if len(trips) == 0 && interrupted != nil {
		return interrupted
	}
	if len(trips) == 0 {
		return exit(exitFailed, fmt.Errorf("pinging %s: all %d pings were lost", describe(peer), count))
	}
	slices.Sort(trips)
	at := func(part float64) float64 {
		return float64(trips[min(len(trips)-1, int(part*float64(len(trips))))].Nanoseconds()) / 1e6
	}
	loss := float64(lost) / float64(count)
	p.out.object(struct {
		Type   string  `json:"type"`
		Peer   string  `json:"peer"`
		Mode   string  `json:"mode"`
		Count  int     `json:"count"`
		Min    float64 `json:"min_ms"`
		Median float64 `json:"median_ms"`
		P95    float64 `json:"p95_ms"`
		P99    float64 `json:"p99_ms"`
		Max    float64 `json:"max_ms"`
		Loss   float64 `json:"loss"`
	}{"ping", peer.ID.String(), string(mode), count, at(0), at(0.5), at(0.95), at(0.99), at(1), loss})
	p.out.line("%d %s round trips to %s: min %.3f, median %.3f, p95 %.3f, p99 %.3f, max %.3f ms, %.1f %% lost",
		count, mode, describe(peer), at(0), at(0.5), at(0.95), at(0.99), at(1), 100*loss)
	return interrupted
}
