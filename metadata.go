package ttrpc

import (
	"context"
	"strings"
)

// MD is the metadata of a call: values by key. Get, Set and Append use keys in lower case, and so
// does a server for the keys it receives; a client sends the keys as they stand in the map. A key
// without values is not sent. Like any map it must not be changed while others use it; those given
// to a context and taken from one are copies.
type MD map[string][]string

type metadataKey struct{}

// Get returns the values of a key, and whether there are any.
func (m MD) Get(key string) ([]string, bool) {
	values := m[strings.ToLower(key)]
	if len(values) == 0 {
		return nil, false
	}
	return values, true
}

// Set replaces the values of a key; without values it deletes the key.
func (m MD) Set(key string, values ...string) {
	key = strings.ToLower(key)
	if len(values) == 0 {
		delete(m, key)
		return
	}
	m[key] = values
}

// Append adds values to a key.
func (m MD) Append(key string, values ...string) {
	key = strings.ToLower(key)
	if len(values) == 0 {
		return
	}
	m[key] = append(m[key], values...)
}

// Clone returns a deep copy; of nil it is nil.
//
//go:noinline
func (m MD) Clone() MD {
	if m == nil {
		return nil
	}
	n := 0
	for _, values := range m {
		n += len(values)
	}
	clone, all := make(MD, len(m)), make([]string, 0, n)
	for key, values := range m {
		if values == nil {
			clone[key] = nil
			continue
		}
		start := len(all)
		all = append(all, values...)
		clone[key] = all[start:len(all):len(all)]
	}
	return clone
}

// GetMetadata returns a copy of the metadata of a context: what WithMetadata attached, or in a
// handler what the client sent. Where that is nothing it is what Serve's context has. The copy is
// the caller's to change.
func GetMetadata(ctx context.Context) (MD, bool) {
	md, ok := sharedMetadata(ctx)
	return md.Clone(), ok
}

// GetMetadataValue returns the first value of one key of a context's metadata.
func GetMetadataValue(ctx context.Context, name string) (string, bool) {
	md, _ := sharedMetadata(ctx)
	if values, ok := md.Get(name); ok {
		return values[0], true
	}
	return "", false
}

// WithMetadata returns a context that carries a copy of md in place of the metadata it had. Calls
// made with it send md along.
func WithMetadata(ctx context.Context, md MD) context.Context {
	return context.WithValue(ctx, metadataKey{}, md.Clone())
}

// sharedMetadata returns the map in the context itself, which nobody may change.
func sharedMetadata(ctx context.Context) (MD, bool) {
	md, ok := ctx.Value(metadataKey{}).(MD)
	return md, ok
}

// metadataFrom collects the metadata of a Request that an interceptor has seen.
func metadataFrom(list []*KeyValue) MD {
	if len(list) == 0 {
		return nil
	}
	md := make(MD, len(list))
	for _, kv := range list {
		md[kv.GetKey()] = append(md[kv.GetKey()], kv.GetValue())
	}
	return md
}

// keyValues is the form in which metadata stands in a Request.
func (m MD) keyValues() []*KeyValue {
	var list []*KeyValue
	for key, values := range m {
		for _, value := range values {
			list = append(list, &KeyValue{Key: key, Value: value})
		}
	}
	return list
}
