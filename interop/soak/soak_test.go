package main

import "testing"

func at(goroutines, descriptors int, rss int64) sample {
	u := usage{goroutines: goroutines, descriptors: descriptors, rss: rss}
	return sample{client: u, server: u}
}

// TestGrowth: the soak fails for what stays behind, and for nothing else.
func TestGrowth(t *testing.T) {
	for _, c := range []struct {
		name    string
		samples []sample
		grown   bool
	}{
		{"steady", []sample{at(5, 10, 9000), at(5, 10, 20000), at(5, 10, 18000), at(5, 10, 21000), at(5, 10, 19000)}, false},
		{"less in the end", []sample{at(9, 12, 9000), at(5, 10, 20000), at(5, 10, 20000)}, false},
		{"a peak of memory", []sample{at(5, 10, 9000), at(5, 10, 20000), at(5, 10, 20000), at(5, 10, 90000), at(5, 10, 20000)}, false},
		{"a goroutine more", []sample{at(5, 10, 9000), at(5, 10, 9000), at(6, 10, 9000)}, true},
		{"a descriptor more", []sample{at(5, 10, 9000), at(5, 10, 9000), at(5, 11, 9000)}, true},
		{"memory grows", []sample{at(5, 10, 9000), at(5, 10, 20000), at(5, 10, 30000), at(5, 10, 60000), at(5, 10, 80000)}, true},
	} {
		s := &soak{samples: c.samples}
		if err := s.growth(); (err != nil) != c.grown {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestTally: one wrong answer is a failure, and so is a soak that did nothing.
func TestTally(t *testing.T) {
	var nothing, right, wrong tally
	right.done("call", 0)
	right.failed("Canceled")
	wrong.done("call", 0)
	wrong.wrongAnswer("asked %d", 1)
	if nothing.failure() == nil || wrong.failure() == nil {
		t.Error("no failure where there is one")
	}
	if err := right.failure(); err != nil {
		t.Error(err)
	}
}
