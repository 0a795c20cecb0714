//go:build go1.25

package conns

import (
	"slices"
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// So many calls are within the limit, and again when one has returned.
func TestHandlersAreLimited(t *testing.T) {
	var h Handlers[string]
	h.Init(2, 1000)
	testkit.Equal(t, h.Begin(0)+h.Begin(0), "")
	testkit.Equal(t, h.Begin(0), "ttrpc: more than 2 calls in flight")
	testkit.Equal(t, h.Running(), 2)
	testkit.Equal(t, h.End(0), false)
	testkit.Equal(t, h.Begin(0), "")
}

// So many bytes are, and one request of any size.
func TestBytesOfRequestsAreLimited(t *testing.T) {
	var h Handlers[string]
	h.Init(10, 1000)
	testkit.Equal(t, h.Begin(600)+h.Begin(400), "")
	testkit.Equal(t, h.Begin(1), "ttrpc: requests in flight exceed 1000 bytes")
	testkit.Equal(t, h.Begin(0), "")
	h.End(600)
	testkit.Equal(t, h.Begin(601), "ttrpc: requests in flight exceed 1000 bytes")
	h.End(400)
	testkit.Equal(t, h.Bytes(), 0)
	testkit.Equal(t, h.Begin(5000), "")
	testkit.Equal(t, h.Bytes(), 5000)
	testkit.Equal(t, h.Begin(1), "ttrpc: requests in flight exceed 1000 bytes")
}

// The last that runs is known, be it a handler or the connection's goroutine.
func TestLastToEnd(t *testing.T) {
	for _, order := range [][]int{{0, 3, 4}, {3, 0, 4}, {4, 3, 0}} {
		var h Handlers[string]
		h.Init(10, 1000)
		testkit.Equal(t, h.Begin(3)+h.Begin(4), "")
		for i, bytes := range order {
			testkit.Equal(t, h.End(bytes), i == len(order)-1)
		}
		testkit.Equal(t, h.Running()+h.Bytes(), 0)
	}
}

// A connection is quiet when the handlers of all calls in flight wait for the others.
func TestAllWait(t *testing.T) {
	for name, test := range map[string]struct {
		calls, wait, back []string
		want              bool
	}{
		"no calls":              {nil, nil, nil, true},
		"one":                   {[]string{"a"}, []string{"a"}, nil, true},
		"another":               {[]string{"a", "b"}, []string{"a"}, nil, false},
		"both":                  {[]string{"a", "b"}, []string{"a", "b"}, nil, true},
		"one twice":             {[]string{"a", "b"}, []string{"a", "a"}, nil, false},
		"one twice, alone":      {[]string{"a"}, []string{"a", "a"}, nil, true},
		"one is back once":      {[]string{"a"}, []string{"a", "a"}, []string{"a"}, true},
		"it is back":            {[]string{"a"}, []string{"a"}, []string{"a"}, false},
		"cancelled":             {[]string{"b"}, []string{"a"}, nil, false},
		"cancelled, and other":  {[]string{"b"}, []string{"a", "b"}, nil, true},
		"no key":                {[]string{""}, []string{""}, nil, true},
		"no keys, one waits":    {[]string{"", ""}, []string{""}, nil, false},
		"a key, and none waits": {[]string{"", "a"}, []string{"a"}, nil, false},
		"a key, and none":       {[]string{"", "a"}, []string{"", "a"}, nil, true},
		"none is back":          {[]string{""}, []string{""}, []string{""}, false},
	} {
		t.Run(name, func(t *testing.T) {
			var h Handlers[string]
			h.Init(10, 1000)
			for _, key := range test.wait {
				h.Waits(key, 1)
			}
			for _, key := range test.back {
				h.Waits(key, -1)
			}
			testkit.Equal(t, h.AllWait(slices.Values(test.calls)), test.want)
			for _, key := range test.wait {
				h.Waits(key, -1)
			}
			for _, key := range test.back {
				h.Waits(key, 1)
			}
			testkit.Equal(t, h.waiting+len(h.waitingOf), 0)
		})
	}
}
