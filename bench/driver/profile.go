package driver

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// ProfileEnv names the file that a peer's process writes its CPU profile to.
const ProfileEnv = "BENCH_PROFILE"

// profile starts a CPU profile if one is wanted. What it returns ends it.
func profile() (stop func()) {
	name := os.Getenv(ProfileEnv)
	if name == "" {
		return func() {}
	}
	f, err := os.Create(name)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "profile:", err)
		os.Exit(1)
	}
	return func() {
		pprof.StopCPUProfile()
		if err := f.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
		}
	}
}
