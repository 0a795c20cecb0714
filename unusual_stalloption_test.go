//go:build go1.25

package ttrpc_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/containerd/ttrpc"
)

// The options say for how long a stream may stall that is the connection's only call; zero is for
// ever.
func TestP51StallTimeoutOptions(t *testing.T) {
	for name, test := range map[string]struct {
		timeout, pause time.Duration
		survives       bool
	}{
		"shorter, kept":   {3 * time.Second, 2500 * time.Millisecond, true},
		"shorter, failed": {3 * time.Second, 3500 * time.Millisecond, false},
		"longer, kept":    {time.Hour, 59 * time.Minute, true},
		"longer, failed":  {time.Hour, 61 * time.Minute, false},
		"none":            {0, 1000 * time.Hour, true},
	} {
		t.Run("server/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUxUpload(t, func() { uxPause(test.pause) }, ttrpc.WithServerStallTimeout(test.timeout))
				if test.survives {
					u.wantAll()
				} else {
					u.wantFull()
				}
			})
		})
		t.Run("client/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pause := func(*ttrpc.Client) { uxPause(test.pause) }
				n, err := uxDownload(t, false, pause, ttrpc.WithClientStallTimeout(test.timeout))
				if test.survives {
					uxWantTaken(t, n, err)
				} else {
					uxWantFull(t, n, err)
				}
			})
		})
	}
}

// Beside another call the second stays, however patient the options are.
func TestP51StallTimeoutBesideACall(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"an hour": time.Hour, "none": 0} {
		t.Run("server/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				u := newUxUpload(t, func() { uxPause(1500 * time.Millisecond) }, ttrpc.WithServerStallTimeout(timeout))
				u.beside()
				u.wantFull()
				close(u.release)
			})
		})
		t.Run("client/"+name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				pause := func(*ttrpc.Client) { uxPause(1500 * time.Millisecond) }
				n, err := uxDownload(t, true, pause, ttrpc.WithClientStallTimeout(timeout))
				uxWantFull(t, n, err)
			})
		})
	}
}
