//go:build go1.25

package transport

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests and then looks for what they have left behind: goroutines, and open
// sockets where /proc tells of them.
func TestMain(m *testing.M) {
	sockets := openSockets()
	code := m.Run()
	for end := time.Now().Add(time.Minute); code == 0; runtime.Gosched() {
		left, open := goroutines(), openSockets()
		if len(left) == 0 && open <= sockets {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("leaked %d sockets and %d goroutines:\n%s\n", open-sockets, len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// goroutines returns the stacks of all goroutines of this package but TestMain's.
func goroutines() (found []string) {
	buf := make([]byte, 1<<20)
	for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		if i > 0 && strings.Contains(stack, "internal/transport.") && !strings.Contains(stack, "testing.(*M).Run") {
			found = append(found, stack)
		}
	}
	return found
}

func openSockets() (n int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}
