package driver

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// idle measures what an idle connection holds: private dirty memory after a collection, with Conns
// more connections than before, divided by them. Each has made one call.
func (r *running) idle() (Values, error) {
	kept, err := r.dialMany(50) // what a process grows once is there before the first look
	if err != nil {
		return nil, err
	}
	before, err := r.ctl.both(question{Collect: true})
	if err != nil {
		return nil, err
	}
	more, err := r.dialMany(r.Conns)
	if err != nil {
		return nil, err
	}
	after, err := r.ctl.both(question{Collect: true})
	if err != nil {
		return nil, err
	}
	used := after.since(before)
	err = errors.Join(closeAll(kept), closeAll(more))
	return perOne(used, r.Conns), err
}

func perOne(used counted, n int) Values {
	return Values{"client": used.client.PrivateDirty / float64(n), "server": used.server.PrivateDirty / float64(n)}
}

func (r *running) dialMany(n int) ([]Client, error) {
	clients := make([]Client, n)
	for i := range clients {
		c, err := r.dial()
		if err != nil {
			return nil, err
		}
		clients[i] = c
	}
	return clients, nil
}

func closeAll(clients []Client) error {
	var errs []error
	for _, c := range clients {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// held measures what a call holds whose handler blocks: private dirty memory after a collection,
// with Conns calls waiting on one connection, divided by them. The callers' goroutines, which are
// the program's and not the library's, are there before the first look, and have called once each,
// one after the other.
func (r *running) held() (Values, error) {
	c, ok := r.client.(Holder)
	if !ok {
		return nil, ErrUnsupported
	}
	var callers sync.WaitGroup
	warm, start := make(chan error), make(chan struct{})
	errs := make(chan error, r.Conns)
	for range r.Conns {
		callers.Go(func() {
			warm <- r.client.Echo(background)
			<-start
			errs <- c.Hold(background)
		})
		if err := <-warm; err != nil {
			return nil, err
		}
	}
	before, err := r.ctl.both(question{Collect: true})
	if err != nil {
		return nil, err
	}
	close(start)
	after, err := r.ctl.both(question{Collect: true, Held: r.Conns})
	if err != nil {
		return nil, err
	}
	if _, err := r.ctl.ask(question{Release: true}); err != nil {
		return nil, err
	}
	callers.Wait()
	close(errs)
	var all []error
	for err := range errs {
		all = append(all, err)
	}
	return perOne(after.since(before), r.Conns), errors.Join(all...)
}

// conns opens n connections, then makes one call on each of them at the same time, again and again.
func (r *running) conns(n int) (Values, error) {
	clients, err := r.dialMany(n)
	if err != nil {
		return nil, err
	}
	if _, err := callsPerSecond(clients, r.Warm); err != nil {
		return nil, err
	}
	rate, err := callsPerSecond(clients, r.Measure)
	if err != nil {
		return nil, err
	}
	server, err := r.ctl.ask(question{})
	return Values{"rate": rate, "rss": server.RSS / 1024}, err
}

// callsPerSecond makes one call on each connection at the same time, for so long or once.
func callsPerSecond(clients []Client, d time.Duration) (float64, error) {
	for calls, began := 0, time.Now(); ; {
		if err := callEach(clients); err != nil {
			return 0, err
		}
		calls += len(clients)
		if elapsed := time.Since(began); elapsed >= d {
			return float64(calls) / elapsed.Seconds(), nil
		}
	}
}

func callEach(clients []Client) error {
	var callers sync.WaitGroup
	errs := make([]error, len(clients))
	for i, c := range clients {
		callers.Go(func() { errs[i] = c.Echo(background) })
	}
	callers.Wait()
	return errors.Join(errs...)
}

// hello starts the smallest server of the peer many times over, and takes the medians of how long
// it takes from starting the process to holding the first answer, and of its resident memory then.
func (r *running) hello() (Values, error) {
	var starts, rss []float64
	for range 11 {
		took, kib, err := r.helloOnce()
		if err != nil {
			return nil, err
		}
		starts, rss = append(starts, took), append(rss, kib/1024)
	}
	return Values{"start": median(starts), "rss": median(rss)}, nil
}

func (r *running) helloOnce() (milliseconds, kib float64, err error) {
	_ = os.Remove(r.address) // left by the one before
	server := exec.Command(r.Hello, r.address)
	server.Stderr = os.Stderr
	out, err := server.StdoutPipe()
	if err != nil {
		return 0, 0, err
	}
	began := time.Now()
	if err := server.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		err = errors.Join(err, server.Process.Kill())
		_ = server.Wait() // says that it was killed
	}()
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		return 0, 0, err
	}
	client, err := r.dial()
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(began)
	kib, err = readProc("/proc/"+strconv.Itoa(server.Process.Pid)+"/status", "VmRSS")
	return took.Seconds() * 1000, kib, errors.Join(err, client.Close())
}
