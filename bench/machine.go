package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
)

// machine says on what was measured.
func machine() string {
	return fmt.Sprintf("%s %s/%s, %d CPUs, %s, Linux %s",
		runtime.Version(), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), cpuModel(), firstLine("/proc/sys/kernel/osrelease"))
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo") // what is not told is left out
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown CPU"
}

func firstLine(file string) string {
	text, _ := os.ReadFile(file)
	first, _, _ := strings.Cut(string(text), "\n")
	return first
}
