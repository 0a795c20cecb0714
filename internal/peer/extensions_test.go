//go:build go1.25

package peer

import (
	"testing"

	"github.com/containerd/ttrpc/internal/testkit"
)

// Each state, what is said of it, and what comes of both events.
func TestExtensions(t *testing.T) {
	for _, c := range []struct {
		state       State
		text        string
		used, known bool
		learn       State // what it is after Learn
		greet       State // what it is after Greet
	}{
		{Off, "off", false, false, Off, Off},
		{Unknown, "unknown", true, false, Known, Unknown},
		{Known, "known", true, true, Known, Greeted},
		{Greeted, "known", true, true, Greeted, Greeted},
	} {
		var e Extensions
		testkit.Equal(t, e.get(), Off)
		e.Init(c.state)
		testkit.Equal(t, e.String(), c.text)
		testkit.Equal(t, e.Used(), c.used)
		testkit.Equal(t, e.Known(), c.known)
		testkit.Equal(t, e.KnowsWindows(), c.known)
		testkit.Equal(t, e.Learn(), c.learn != c.state)
		testkit.Equal(t, e.get(), c.learn)
		e.Init(c.state)
		testkit.Equal(t, e.Greet(), c.greet != c.state)
		testkit.Equal(t, e.get(), c.greet)
	}
}
