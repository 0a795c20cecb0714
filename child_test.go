//go:build go1.25

package ttrpc_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"testing"
)

const childVariable = "TTRPC_TEST_CHILD"

// child is what this process was started for by runChild; in the tests' own process it is empty.
func child() string { return os.Getenv(childVariable) }

// runChild runs the calling test in a process of its own, for what ends a process or has it stand
// still.
func runChild(t testing.TB, what string, env ...string) (output string, err error) {
	t.Helper()
	return runChildOf(t, t.Name(), what, env...)
}

// runChildOf is runChild for subtests.
func runChildOf(t testing.TB, test, what string, env ...string) (output string, err error) {
	t.Helper()
	self, err := os.Executable()
	check(t, err)
	ctx, cancel := context.WithTimeout(bg, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, "-test.run=^"+test+"$", "-test.count=1")
	cmd.Env = append(append(os.Environ(), childVariable+"="+what), env...)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errors.New("it hangs")
	}
	return string(out), err
}
