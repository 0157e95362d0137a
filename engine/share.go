package engine

import (
	"fmt"
	"slices"
	"sync"

	"multipeer/engine/internal/identity"
	"multipeer/engine/internal/transport"
)

// sharing is what engines with one identity have in common; see Config.Share.
type sharing struct {
	profile  *identity.Profile
	ownConns *transport.OwnConns

	mu      sync.Mutex
	engines []*Engine // the engines that have not ended
}

// openSharing opens the profile of a new engine, or joins that of cfg.Share.
func openSharing(cfg Config) (*sharing, error) {
	if cfg.Share == nil {
		profile, err := openProfile(cfg.Profile)
		if err != nil {
			return nil, err
		}
		return &sharing{profile: profile, ownConns: &transport.OwnConns{}}, nil
	}
	if cfg.Profile != "" {
		return nil, fmt.Errorf("profile %q: %w: it must be empty when Share is set, which uses the profile of the other engine", cfg.Profile, ErrInvalid)
	}
	s := cfg.Share.shared
	s.mu.Lock()
	defer s.mu.Unlock()
	return s, s.admitsLocked(cfg)
}

// admitsLocked reports why an engine cannot join.
func (s *sharing) admitsLocked(cfg Config) error {
	switch {
	case cfg.Share == nil:
		return nil
	case len(s.engines) == 0:
		return fmt.Errorf("sharing an identity: %w: the other engine has ended", ErrClosed)
	case slices.ContainsFunc(s.engines, func(e *Engine) bool { return e.cfg.Service == cfg.Service }):
		return fmt.Errorf("sharing an identity: %w: an engine for the service %q already uses this identity", ErrInvalid, cfg.Service)
	}
	return nil
}

// join adds an engine. The errors are those of New for Config.Share.
func (s *sharing) join(e *Engine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.admitsLocked(e.cfg); err != nil {
		return err
	}
	s.engines = append(s.engines, e)
	return nil
}

// leave removes an engine. The last one closes the profile.
func (s *sharing) leave(e *Engine) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engines = slices.DeleteFunc(s.engines, func(other *Engine) bool { return other == e })
	if len(s.engines) > 0 {
		return nil
	}
	return s.profile.Close()
}

// each calls f with every engine, without a lock.
func (s *sharing) each(f func(e *Engine)) {
	s.mu.Lock()
	engines := slices.Clone(s.engines)
	s.mu.Unlock()
	for _, e := range engines {
		f(e)
	}
}
