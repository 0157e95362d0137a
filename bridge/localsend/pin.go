package localsend

// SetPIN sets the PIN that devices have to enter before they can send, as Options.PIN does. The error is ErrInvalid if
// the PIN has characters other than letters and digits.
func (g *Gateway) SetPIN(pin string) error {
	if err := checkPIN(pin); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.opts.PIN = pin
	return nil
}

// ownPIN returns the PIN that this device requires; empty for none.
func (g *Gateway) ownPIN() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.opts.PIN
}

// GivePIN sets the PIN that is sent to one device, by its gateway.Device.Key, until the program ends. Only a device that
// has proven its key gets it. The error is like that of SetPIN.
func (g *Gateway) GivePIN(key, pin string) error {
	if err := checkPIN(pin); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.given == nil {
		g.given = map[string]string{}
	}
	g.given[key] = pin
	return nil
}

// pinFor returns the PIN for a device; empty for none.
func (g *Gateway) pinFor(d *device) string {
	if !d.Proven { // anyone at its address could receive it
		return ""
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if pin := g.given[d.Key]; pin != "" {
		return pin
	}
	return g.opts.GivePIN
}
