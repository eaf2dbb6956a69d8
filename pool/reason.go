package pool

// cause is why a connection is closed. Zero means that it is not closed.
type cause uint8

const (
	bad         cause = iota + 1 // it is broken, or its holder or a hook discarded it; reason.err says why
	invalid                      // it is a driver.Validator, and reports that it is no longer valid
	tooManyIdle                  // MaxIdle
	idleTooLong                  // MaxIdleTime
	tooOld                       // MaxLifetime
	usedUp                       // MaxUses
	outOfDate                    // Reset
	tooMany                      // Resize
	yielded                      // the gate recalled its permit
	permitLost                   // its permit was lost
	shutDown                     // Close or Shutdown
)

// causes has, for each cause, the error for OnClose and the log, and its name and
// counter in Closes. For bad, the error is in the reason.
var causes = [...]struct {
	err     error
	name    string
	counter func(*Closes) *int64
}{
	bad:         {nil, "bad", func(n *Closes) *int64 { return &n.Bad }},
	invalid:     {ErrInvalid, "invalid", func(n *Closes) *int64 { return &n.Invalid }},
	tooManyIdle: {ErrMaxIdle, "idle", func(n *Closes) *int64 { return &n.Idle }},
	idleTooLong: {ErrMaxIdleTime, "idle", func(n *Closes) *int64 { return &n.Idle }},
	tooOld:      {ErrMaxLifetime, "lifetime", func(n *Closes) *int64 { return &n.Lifetime }},
	usedUp:      {ErrMaxUses, "uses", func(n *Closes) *int64 { return &n.Uses }},
	outOfDate:   {ErrReset, "reset", func(n *Closes) *int64 { return &n.Reset }},
	tooMany:     {ErrResized, "reset", func(n *Closes) *int64 { return &n.Reset }},
	yielded:     {ErrYielded, "yielded", func(n *Closes) *int64 { return &n.Yielded }},
	permitLost:  {ErrPermitLost, "yielded", func(n *Closes) *int64 { return &n.Yielded }},
	shutDown:    {ErrClosed, "shutdown", func(n *Closes) *int64 { return &n.Shutdown }},
}

// String returns the name of the Closes field that counts c, in lower case.
func (c cause) String() string { return causes[c].name }

// reason is why a connection is closed, in detail. The zero reason means that it is not
// closed.
type reason struct {
	cause   cause
	err     error // never nil if there is a cause
	useless bool  // the connection was dead at its first use
	known   bool  // err came from Connect, so the journal already has it
	counts  bool  // it is useless and counts as a failed Connect
}

// because returns the reason for the cause c, or the zero reason if c is zero.
func because(c cause) reason {
	if c == 0 {
		return reason{}
	}
	return reason{cause: c, err: causes[c].err}
}
