package ttrpc

// WithServerStats has h told of the server's connections and calls. Several such options add up:
// each handler is told, in their order, and has the context that the one before has tagged.
//
// Without a handler this costs nothing. With one a call costs a few allocations more.
func WithServerStats(h StatsHandler) ServerOpt {
	return func(c *serverConfig) error { c.stats = addStats(c.stats, h); return nil }
}

// WithClientStats has h told of the client's connections and calls. Several such options add up, as
// with [WithServerStats]. A call begins before the client's interceptors and ends after them. On a
// client of [Dial] a call has one Begin and one End, whatever attempts it takes, and each
// connection its own.
func WithClientStats(h StatsHandler) ClientOpts {
	return func(c *Client) { c.stats = addStats(c.stats, h) }
}
