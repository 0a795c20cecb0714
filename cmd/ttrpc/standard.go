package main

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// checkedOutput remembers that it could not be written to, and calls a function then.
type checkedOutput struct {
	w      io.Writer
	failed func()

	mu  sync.Mutex // guards err
	err error
}

func (c *checkedOutput) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
		c.failed()
	}
	return n, err
}

// failure returns the error of a Write as the user's, or else the given one.
func (c *checkedOutput) failure(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return usageError{fmt.Errorf("the standard output: %w", c.err)}
	}
	return err
}

// endingInput is an input whose Read returns at the end of a context, too. It reads ahead.
type endingInput struct {
	ctx   context.Context
	r     io.Reader
	start sync.Once
	pipe  *io.PipeReader
}

func (e *endingInput) Read(p []byte) (int, error) {
	e.start.Do(func() {
		r, w := io.Pipe()
		e.pipe = r
		context.AfterFunc(e.ctx, func() { w.CloseWithError(e.ctx.Err()) })
		go func() { // it may wait for input for ever: the process ends without it
			_, err := io.Copy(w, e.r)
			w.CloseWithError(err)
		}()
	})
	return e.pipe.Read(p)
}
