package testkit

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// Main is for a TestMain: it runs the tests and then looks for what they have left behind, which
// are goroutines that mention one of the texts, and open sockets where /proc tells of them.
func Main(m *testing.M, texts ...string) {
	sockets := OpenSockets()
	code := m.Run()
	for end := time.Now().Add(time.Minute); code == 0; runtime.Gosched() {
		left, open := Goroutines(texts...), OpenSockets()
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

// Goroutines returns the stacks of all goroutines that mention one of the texts, but for this one
// and TestMain's.
func Goroutines(texts ...string) (found []string) {
	buf := make([]byte, 8<<20)
	for i, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		mentioned := slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(stack, text) })
		if i > 0 && mentioned && !strings.Contains(stack, "testing.(*M).Run") {
			found = append(found, stack)
		}
	}
	return found
}

// OpenSockets is how many sockets the process has, as far as /proc tells.
func OpenSockets() (n int) {
	links, _ := filepath.Glob("/proc/self/fd/*")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, "socket:") {
			n++
		}
	}
	return n
}
