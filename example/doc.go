// Package example is a small service with both kinds of stubs, and a demo that runs it:
// go run ./cmd, or go run ./example/cmd from the root of the repository.
//
// tasks and gogotasks are the service with stubs of google.golang.org/protobuf and of
// gogo/protobuf, shim is the server, walk the client, cmd the program. kv is a program of its own,
// a small daemon and its client. The generate lines below need no protoc; Protobuild.toml and
// buf.gen.yaml are for those who use protobuild or buf.
package example

//go:generate go run github.com/containerd/ttrpc/tools/generate -I github.com/containerd/ttrpc/example=. -as github.com/containerd/ttrpc/example -plugin go:google.golang.org/protobuf/cmd/protoc-gen-go -plugin go:github.com/containerd/ttrpc/cmd/protoc-gen-go-ttrpc github.com/containerd/ttrpc/example/tasks/tasks.proto
//go:generate go run github.com/containerd/ttrpc/tools/generate -I github.com/containerd/ttrpc/example=. -as github.com/containerd/ttrpc/example -plugin go:github.com/containerd/ttrpc/cmd/protoc-gen-gogottrpc:plugins=ttrpc,Mgoogle/protobuf/any.proto=github.com/gogo/protobuf/types github.com/containerd/ttrpc/example/gogotasks/gogotasks.proto
