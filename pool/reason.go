package pool

// cause is why a connection is closed, as Closes counts it. Zero means none.
type cause uint8

const (
	bad         cause = iota + 1 // the connection broke, or its holder or a hook gave it up; the error says why
	invalid                      // driver.Validator said so
	tooManyIdle                  // MaxIdle
	idleTooLong                  // MaxIdleTime
	tooOld                       // MaxLifetime
	usedUp                       // MaxUses
	outOfDate                    // Reset
	tooMany                      // Resize
	yielded                      // Yield, or recalled by the gate
	permitLost                   // the gate's permit was lost
	shutDown                     // Close or Shutdown
)

// causes has the error that OnClose and the log get for each cause, and the counter of
// Closes. For bad, the reason has the error.
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

// String returns the name of the field of Closes that counts c, in lower case.
func (c cause) String() string { return causes[c].name }

// reason is why a connection is closed. The zero reason means that it is not.
type reason struct {
	cause   cause
	err     error // never nil if there is a cause
	useless bool  // the connection was dead at its first use
	known   bool  // err came from Connect, so the journal already has it
	counts  bool  // useless, and that counts as a failed Connect
}

// because returns the reason for a close that c causes; zero if c is zero.
func because(c cause) reason {
	if c == 0 {
		return reason{}
	}
	return reason{cause: c, err: causes[c].err}
}
