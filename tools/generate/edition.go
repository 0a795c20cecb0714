package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"sync"

	"github.com/bufbuild/protocompile"
)

var editionLine = regexp.MustCompile(`(?m)^\s*edition\s*=\s*["'](\w+)["']\s*;`)

// editions is a resolver that remembers the editions of the source files that it opens. The
// compiler knows fewer of them than protoc, and complains of a newer one's syntax without a word of
// the edition.
type editions struct {
	protocompile.Resolver
	mu    sync.Mutex        // the compiler opens files at the same time
	files map[string]string // the edition of each file that has one
}

func (e *editions) FindFileByPath(path string) (protocompile.SearchResult, error) {
	res, err := e.Resolver.FindFileByPath(path)
	if err != nil || res.Source == nil {
		return res, err
	}
	text, err := io.ReadAll(res.Source)
	if c, ok := res.Source.(io.Closer); ok {
		c.Close()
	}
	if m := editionLine.FindSubmatch(text); m != nil {
		e.mu.Lock()
		e.files[path] = string(m[1])
		e.mu.Unlock()
	}
	res.Source = bytes.NewReader(text)
	return res, err
}

// explain names the edition that the compiler does not know, if that is why it failed.
func (e *editions) explain(err error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, path := range slices.Sorted(maps.Keys(e.files)) {
		if edition := e.files[path]; !known(edition) {
			return fmt.Errorf("%s: edition %s is unknown to the compiler that this command uses, "+
				"github.com/bufbuild/protocompile; use protoc, or an older edition: %w", path, edition, err)
		}
	}
	return err
}

// known asks the compiler.
func known(edition string) bool {
	compiler := protocompile.Compiler{Resolver: &protocompile.SourceResolver{
		Accessor: protocompile.SourceAccessorFromMap(map[string]string{"probe.proto": fmt.Sprintf("edition = %q;", edition)}),
	}}
	_, err := compiler.Compile(context.Background(), "probe.proto")
	return err == nil
}
