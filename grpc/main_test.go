package grpcttrpc_test

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestMain runs the tests and then looks for goroutines of ttrpc, of grpc and of the tests that
// they have left behind.
func TestMain(m *testing.M) {
	code := m.Run()
	for end := time.Now().Add(time.Minute); code == 0; runtime.Gosched() {
		left := goroutines("containerd/ttrpc", "google.golang.org/grpc")
		if len(left) == 0 {
			break
		}
		if time.Now().After(end) {
			fmt.Printf("leaked %d goroutines:\n%s\n", len(left), strings.Join(left, "\n\n"))
			code = 1
		}
	}
	os.Exit(code)
}

// goroutines returns the stacks that mention one of some texts, but for this one.
func goroutines(texts ...string) (found []string) {
	buf := make([]byte, 8<<20)
	for _, stack := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n")[1:] {
		for _, text := range texts {
			if strings.Contains(stack, text) {
				found = append(found, stack)
				break
			}
		}
	}
	return found
}
