package main

import "github.com/containerd/ttrpc/bench/driver"

// job is one measurement that a pair of processes makes, and the rows of the table that come of it.
type job struct {
	name     string // for -only
	what     string
	workload string // the driver's name for it
	oneProc  bool   // with GOMAXPROCS=1 in both processes
	pairing  pairing
	rows     []row

	onRequest bool // it runs only where -only names it
}

// row is one figure.
type row struct {
	key   string // the driver's name for it
	label string
	unit  string
	reach reach
}

// reach is what this project set out to reach. The zero value is no aim.
type reach struct {
	bound    float64
	absolute bool // the bound is the figure itself, not the ratio to the baseline
	atLeast  bool // more is better
}

func atMost(ratio float64) reach     { return reach{bound: ratio} }
func atLeast(ratio float64) reach    { return reach{bound: ratio, atLeast: true} }
func noMoreThan(bound float64) reach { return reach{bound: bound, absolute: true} }

// held says whether a figure is within reach.
func (r reach) met(value, ratio float64) bool {
	v := ratio
	if r.absolute {
		// An allocation or two in a thousand calls belongs to the runtime (a collection empties the
		// pools).
		v = value - 0.1
	}
	if r.atLeast {
		return v >= r.bound
	}
	return v <= r.bound
}

// pairing says which programs of a peer a job uses.
type pairing int

const (
	itself    pairing = iota
	gogo              // its programs with gogo messages, against the baseline for those
	toOld             // its client, the baseline's server
	fromOld           // the baseline's client, its server
	toOldGogo         // as the two before, with gogo messages
	fromOldGogo
	shims // this checkout's client, containerd's shim with the peer's ttrpc
)

// base is the peer that ratios are taken to.
func (p pairing) base() string {
	switch p {
	case gogo, toOldGogo, fromOldGogo:
		return gogoBase
	}
	return baseline
}

// pair returns the client and the server of a peer's column, and whether it has one in this job.
func (p pairing) pair(of peer) (client, server program, ok bool) {
	old := find(baseline).main
	oldGogo := find(gogoBase).gogo
	mine := of.name == ours
	switch p {
	case gogo:
		return of.gogo, of.gogo, of.gogo != (program{})
	case toOld:
		return of.main, old, mine || of.name == baseline || of.name == "again"
	case fromOld:
		return old, of.main, mine || of.name == baseline || of.name == "again"
	case toOldGogo:
		return of.gogo, oldGogo, of.gogo != (program{})
	case fromOldGogo:
		return oldGogo, of.gogo, of.gogo != (program{})
	case shims:
		_, ok := ttrpcOf(of)
		return find(ours).main, program{}, ok
	}
	return of.main, of.main, true
}

// programs are those that the job runs for a peer.
func (j job) programs(of peer) []program {
	client, server, ok := j.pairing.pair(of)
	switch {
	case !ok || j.workload == "hello" && of.hello == (program{}):
		return nil
	case j.workload == "hello":
		return []program{client, of.hello}
	case driver.StartsServer(j.workload):
		return []program{client}
	}
	return []program{client, server}
}

func find(name string) peer {
	for _, p := range allPeers {
		if p.name == name {
			return p
		}
	}
	panic("no peer " + name)
}

func latency(label string, p50, p99, cpu reach) []row {
	return []row{
		{"p50", label + ": p50", "µs", p50},
		{"p99", label + ": p99", "µs", p99},
		{"cpu", label + ": CPU a call, both", "µs", cpu},
	}
}

func allocations(label string, client, server float64) []row {
	return []row{
		{"client", label + ": client", "allocs", noMoreThan(client)},
		{"server", label + ": server", "allocs", noMoreThan(server)},
	}
}

func callers(label string, rate, p99, cpu reach) []row {
	return []row{
		{"rate", label, "calls/s", rate},
		{"p99", label + ": p99", "µs", p99},
		{"cpu", label + ": CPU a call, both", "µs", cpu},
	}
}

func bodies(label string, rate, peak reach) []row {
	return []row{{"rate", label, "MB/s", rate}, {"peak", label + ": peak RSS, both", "MiB", peak}}
}

func perOne(label string, client, server reach) []row {
	return []row{{"client", label + ", client", "KiB", client}, {"server", label + ", server", "KiB", server}}
}

// twoPercentiles are what the driver's Values.percentiles makes.
func twoPercentiles(key, label string, p50, p99 reach) []row {
	return []row{{key + "-p50", label + ": p50", "µs", p50}, {key + "-p99", label + ": p99", "µs", p99}}
}

var none reach

// allJobs are in the table's order.
var allJobs = []job{
	{name: "p50", what: "calls, one in flight", workload: "unary", rows: latency("1 in flight", atMost(0.52), atMost(0.60), atMost(0.55))},
	{name: "p50-1proc", what: "the same with GOMAXPROCS=1", workload: "unary", oneProc: true, rows: latency(
		"1 in flight, GOMAXPROCS=1", atMost(0.52), atMost(0.60), atMost(0.55),
	)},
	{name: "p50-deadline", what: "each call with a deadline", workload: "unary-deadline", rows: latency(
		"with a deadline", none, none, none,
	)[:1]},
	{name: "p50-metadata", what: "each call with a deadline and metadata", workload: "unary-metadata", rows: latency(
		"with a deadline and metadata", atMost(0.60), none, none,
	)[:1]},
	{name: "allocs", what: "allocations of a call", workload: "allocs", rows: allocations("allocations of a call", 3, 4)},
	{name: "allocs-deadline", what: "the same with a deadline", workload: "allocs-deadline", rows: allocations("allocations, deadline", 8, 8)},
	{name: "allocs-metadata", what: "the same with a deadline and metadata", workload: "allocs-metadata", rows: allocations(
		"allocations, deadline and metadata", 13, 13,
	)},
	{name: "2callers", what: "2 callers on one connection", workload: "unary-2", rows: callers(
		"2 callers", atLeast(1), none, atMost(1),
	)},
	{name: "4callers", what: "4 callers on one connection", workload: "unary-4", rows: callers(
		"4 callers", atLeast(1), none, atMost(1),
	)},
	{name: "64callers", what: "64 callers on one connection", workload: "unary-64", rows: callers(
		"64 callers", atLeast(4), atMost(0.25), atMost(0.28),
	)},
	{name: "1000callers", what: "1000 callers on one connection", workload: "unary-1000", rows: callers(
		"1000 callers", atLeast(3.5), atMost(0.3), none,
	)[:2]},
	{name: "64k-1", what: "echo of 64 KiB, one in flight", workload: "blob-64k-1", rows: bodies(
		"64 KiB echo, 1 in flight", atLeast(3.5), none,
	)[:1]},
	{name: "64k-8", what: "echo of 64 KiB, eight in flight", workload: "blob-64k-8", rows: bodies(
		"64 KiB echo, 8 in flight", atLeast(2.5), none,
	)[:1]},
	{name: "1m-1", what: "echo of 1 MiB, one in flight", workload: "blob-1m-1", rows: bodies(
		"1 MiB echo, 1 in flight", atLeast(4), atMost(0.7),
	)},
	{name: "1m-8", what: "echo of 1 MiB, eight in flight", workload: "blob-1m-8", rows: bodies(
		"1 MiB echo, 8 in flight", atLeast(2), atMost(0.7),
	)},
	{name: "pingpong", what: "a message and its echo on one stream", workload: "chat", rows: append(
		latency("bidi ping-pong", atMost(0.70), none, none)[:1], allocations("allocations of a pair", 3, 4)...,
	)},
	{name: "stream100", what: "server stream of 100 bytes each", workload: "feed-100", rows: []row{
		{"rate", "server stream of 100 B", "msg/s", atLeast(5)},
	}},
	{name: "stream64k", what: "server stream of 64 KiB each", workload: "feed-64k", rows: []row{
		{"bytes", "server stream of 64 KiB", "MB/s", atLeast(2)},
	}},
	{name: "open", what: "open a bidi stream, one message and its echo, end", workload: "open-chat", rows: append(
		latency("open, one message, end (bidi)", atMost(0.75), none, none)[:1], allocations("allocations of it", 10, 9)...,
	)},
	{name: "open-server", what: "open a server stream, one message, end", workload: "open-feed", rows: append(
		latency("open, one message, end (server stream)", atMost(0.75), none, none)[:1], allocations("allocations of it", 10, 9)...,
	)},
	{name: "idle", what: "memory of idle connections", workload: "idle", rows: perOne("an idle connection", atMost(0.60), atMost(0.60))},
	{name: "blocked", what: "memory of blocked calls", workload: "held", rows: perOne("a blocked call", atMost(0.80), atMost(0.85))},
	{name: "hello", what: "the smallest server", workload: "hello", rows: []row{
		{"rss", "hello server: RSS after a call", "MiB", atMost(0.97)},
		{"size", "hello server: stripped size", "MiB", atMost(0.97)},
		{"packages", "hello server: packages linked", "", noMoreThan(131)},
		{"start", "hello server: start to first answer", "ms", atMost(0.9)},
	}},
	{name: "4conns", what: "4 connections, one call each", workload: "conns-4", rows: []row{
		{"rate", "4 connections, 1 call each", "calls/s", atLeast(1)},
	}},
	{name: "20conns", what: "20 connections, one call each", workload: "conns-20", rows: []row{
		{"rate", "20 connections, 1 call each", "calls/s", atLeast(1)},
	}},
	{name: "conns", what: "2000 connections, one call each", workload: "conns", rows: []row{
		{"rate", "many connections, 1 call each", "calls/s", atLeast(2.3)},
		{"rss", "many connections: server RSS", "MiB", atMost(0.65)},
	}},
	{name: "gogo-p50", what: "gogo messages, one in flight", workload: "unary", pairing: gogo, rows: latency(
		"gogo, 1 in flight", atMost(0.52), atMost(0.60), atMost(0.55),
	)},
	{name: "gogo-64callers", what: "gogo messages, 64 callers", workload: "unary-64", pairing: gogo, rows: callers(
		"gogo, 64 callers", atLeast(4), atMost(0.25), atMost(0.28),
	)},
	{name: "gogo-allocs", what: "gogo messages, allocations", workload: "allocs", pairing: gogo, rows: allocations(
		"gogo, allocations of a call", 3, 4,
	)},
	{name: "to-v1.2.8", what: "the peer's client, v1.2.8's server", workload: "unary", pairing: toOld, rows: latency(
		"calling a v1.2.8 server", atMost(0.85), none, none,
	)[:1]},
	{name: "from-v1.2.8", what: "v1.2.8's client, the peer's server", workload: "unary", pairing: fromOld, rows: latency(
		"called by a v1.2.8 client", atMost(0.85), none, none,
	)[:1]},
	{
		name: "to-v1.1.2", what: "the peer's client, v1.1.2's server, gogo messages", workload: "unary",
		pairing: toOldGogo, rows: latency("calling a v1.1.2 server", atMost(0.85), none, none)[:1],
	},
	{
		name: "from-v1.1.2", what: "v1.1.2's client, the peer's server, gogo messages", workload: "unary",
		pairing: fromOldGogo, rows: latency("called by a v1.1.2 client", atMost(0.85), none, none)[:1],
	},
	{name: "stuck", what: "calls beside a stream that nobody reads", workload: "stuck", rows: []row{
		{"failures", "beside a stuck stream: failures", "%", noMoreThan(0)},
		{"p99", "beside a stuck stream: p99", "µs", noMoreThan(1000)},
		{"filling", "while it becomes stuck: longest call", "ms", none},
	}},
	{name: "paused", what: "calls beside a stream whose consumer makes a pause", workload: "paused", rows: append(
		twoPercentiles("beside", "beside a paused stream", none, noMoreThan(1000)),
		row{"failures", "beside a paused stream: failures", "%", noMoreThan(0)},
		row{"lost", "after the pause: messages lost", "%", noMoreThan(0)},
	)},
	{name: "cancel", what: "calls that are given up", workload: "cancel", rows: append(
		twoPercentiles("returned", "a cancelled call returns", none, none),
		twoPercentiles("seen", "a cancelled call's handler notices", none, none)...,
	)},
	{name: "busy", what: "calls beside computing goroutines", workload: "busy", rows: latency(
		"both processes compute", none, none, none,
	)[:2]},
	{name: "behind", what: "a quick call behind a computing one", workload: "behind", rows: twoPercentiles(
		"quick", "behind a computing call", none, none,
	)},
	{name: "price", what: "a connection with extensions beside one without", workload: "price", rows: []row{
		{"lone", "with extensions: p50, times that without", "", noMoreThan(1)},
		{"64", "with extensions: 64 callers, times the time without", "", noMoreThan(1)},
		{"client", "with extensions: more of a call, client", "allocs", noMoreThan(0)},
		{"server", "with extensions: more of a call, server", "allocs", noMoreThan(0)},
		{"returned", "without extensions: a cancelled call returns: p50", "µs", none},
	}},
	{name: "shim", what: "containerd's shim for runc (on request)", workload: "shim", pairing: shims, onRequest: true, rows: []row{
		{"p50", "shim, 1 in flight: p50", "µs", none},
		{"cpu", "shim, 1 in flight: its CPU a call", "µs", none},
		{"rate16", "shim, 16 callers", "calls/s", none},
		{"cpu16", "shim, 16 callers: its CPU a call", "µs", none},
		{"rss", "shim: RSS after a call", "MiB", none},
		{"dirty", "shim: private dirty after all calls", "MiB", none},
		{"start", "shim: start to first answer", "ms", none},
		{"size", "shim: stripped size", "MiB", none},
	}},
}
