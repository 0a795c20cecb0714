package driver

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// usage is what a process has used up to now. Memory is in KiB, as /proc tells it.
type usage struct {
	CPU          time.Duration // user and system
	Mallocs      uint64
	PrivateDirty float64
	RSS          float64
	PeakRSS      float64
}

// takeUsage looks at this process. Collecting twice empties sync.Pools and their victims, and
// FreeOSMemory returns free spans, so what stays is what the program holds.
func takeUsage(collect bool) usage {
	if collect {
		runtime.GC()
		debug.FreeOSMemory()
	}
	var u usage
	if collect {
		u.PrivateDirty = procValue("/proc/self/smaps_rollup", "Private_Dirty")
	}
	u.RSS = procValue("/proc/self/status", "VmRSS")
	u.PeakRSS = procValue("/proc/self/status", "VmHWM")
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Mallocs = m.Mallocs
	u.CPU = cpuTime()
	return u
}

func cpuTime() time.Duration {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err) // has no failure that a correct call can meet
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// procValue reads the number of a "Name:   123 kB" line.
func procValue(file, name string) float64 {
	v, err := readProc(file, name)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return v
}

func readProc(file, name string) (float64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("%s has no %s", file, name)
}

// counted is the difference between two moments, in both processes.
type counted struct {
	client, server usage
}

// since subtracts. What is not a running sum (peaks) is taken from the later moment.
func (later counted) since(earlier counted) counted {
	return counted{later.client.since(earlier.client), later.server.since(earlier.server)}
}

func (u usage) since(earlier usage) usage {
	u.CPU -= earlier.CPU
	u.Mallocs -= earlier.Mallocs
	u.PrivateDirty -= earlier.PrivateDirty
	return u
}

// both looks at the two processes; the server first, so that asking it is not in the client's
// figures twice.
func (c *control) both(q question) (counted, error) {
	server, err := c.ask(q)
	return counted{client: takeUsage(q.Collect), server: server.usage}, err
}
