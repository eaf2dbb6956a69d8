package driver

// Adapter is implemented by a [Conn] that wraps the connection of a client
// library, for libraries whose own connection lacks the methods of the contract or
// has other methods of the same names. Package adapt makes such connections.
type Adapter interface {
	Conn

	// Client returns the connection of the client library, always the same one.
	Client() any
}

// As returns c as a C: c itself if it is a C, or else its client if c is an
// [Adapter]. It reports false if neither is a C. A pool of C uses it, and so can
// hooks and tests:
//
//	pool.Config{OnConnect: func(ctx context.Context, c driver.Conn) error {
//		client, _ := driver.As[*redis.Client](c)
//		...
//	}}
func As[C any](c Conn) (client C, ok bool) {
	if client, ok = c.(C); ok {
		return client, true
	}
	if a, is := c.(Adapter); is {
		client, ok = a.Client().(C)
	}
	return client, ok
}
