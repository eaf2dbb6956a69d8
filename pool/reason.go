package pool

// cause is what closes connections, as Closes counts them. Zero is none.
type cause uint8

const (
	bad         cause = iota + 1 // the connection's or its holder's fault; the error says more
	invalid                      // driver.Validator said no
	tooManyIdle                  // MaxIdle
	idleTooLong                  // MaxIdleTime
	tooOld                       // MaxLifetime
	usedUp                       // MaxUses
	outOfDate                    // Reset
	tooMany                      // Resize
	shutDown                     // Close or Shutdown
)

// err is what OnClose and the log are given for c.
func (c cause) err() error {
	return [...]error{
		invalid: ErrInvalid, tooManyIdle: ErrMaxIdle, idleTooLong: ErrMaxIdleTime, tooOld: ErrMaxLifetime,
		usedUp: ErrMaxUses, outOfDate: ErrReset, tooMany: ErrResized, shutDown: ErrClosed,
	}[c]
}

// reason is why a connection is closed. The zero reason is none.
type reason struct {
	cause   cause
	err     error // never nil beside a cause
	useless bool  // the connection was dead at its first use
}

// because is the reason for a close by the pool itself.
func because(c cause) reason {
	if c == 0 {
		return reason{}
	}
	return reason{cause: c, err: c.err()}
}

// counter returns the counter for c.
func (n *Closes) counter(c cause) *int64 {
	switch c {
	case invalid:
		return &n.Invalid
	case tooManyIdle, idleTooLong:
		return &n.Idle
	case tooOld:
		return &n.Lifetime
	case usedUp:
		return &n.Uses
	case outOfDate, tooMany:
		return &n.Reset
	case shutDown:
		return &n.Shutdown
	}
	return &n.Bad
}
