package main

import (
	"errors"
	"strconv"
	"time"
)

// span is a flag with a time that is not negative.
type span time.Duration

func (s *span) String() string {
	if time.Duration(*s) == unset {
		return ""
	}
	return time.Duration(*s).String()
}

func (s *span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return errors.New("it is a time with its unit, such as 500ms, 3s or 1m30s")
	}
	*s = span(d)
	return nil
}

// count is a flag with a whole number that is not negative.
type count int

func (c *count) String() string { return strconv.Itoa(int(*c)) }

func (c *count) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil {
		return errors.New("it is a whole number, 0 or more")
	}
	*c = count(n)
	return nil
}
