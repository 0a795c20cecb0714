package stubs

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// goPath is where the go_package options of the .proto files point into; gogoPath takes its place
// where gogo's generator runs.
const (
	module   = "github.com/containerd/ttrpc/interop/stubs"
	goPath   = module + "/gen/go"
	gogoPath = module + "/gen/gogo"
)

// target is one way to generate: the plugins that run over a file, and the parameters of each.
type target struct {
	name     string
	packages string // takes the place of goPath in the .proto files
	plugins  map[string]string
}

var (
	goTarget = target{"go", goPath, map[string]string{
		"protoc-gen-go":       "module=" + module,
		"protoc-gen-go-ttrpc": "module=" + module,
	}}
	mappedTarget = target{"go", goPath, map[string]string{
		"protoc-gen-go":       "module=" + module + ",Mmapped.proto=" + goPath + "/mapped",
		"protoc-gen-go-ttrpc": "module=" + module + ",Mmapped.proto=" + goPath + "/mapped",
	}}
	prefixedTarget = target{"go", goPath, map[string]string{
		"protoc-gen-go":       "module=" + module,
		"protoc-gen-go-ttrpc": "module=" + module + ",prefix=TTRPC",
	}}
	gogoTarget = target{"gogo", gogoPath, map[string]string{
		"protoc-gen-gogottrpc": "plugins=ttrpc,Mgoogle/protobuf/empty.proto=github.com/gogo/protobuf/types",
	}}
)

// run is one file generated for one target.
type run struct {
	file string
	target
}

func (r run) String() string { return r.name + "/" + strings.TrimSuffix(r.file, ".proto") }

// runs lists every file with every generator that can take it: gogo's knows neither proto3 optional
// nor editions, and no M parameter for the file itself.
func runs(t *testing.T) []run {
	t.Helper()
	var list []run
	for file := range protos(t) {
		switch file {
		case "mapped.proto":
			list = append(list, run{file, mappedTarget})
		case "prefixed.proto":
			list = append(list, run{file, prefixedTarget})
		case "optional.proto", "editions.proto":
			list = append(list, run{file, goTarget})
		default:
			list = append(list, run{file, goTarget}, run{file, gogoTarget})
		}
	}
	return list
}

// protos reads every .proto file; its path under protos is its name.
func protos(t *testing.T) map[string]string {
	t.Helper()
	sources := map[string]string{}
	err := filepath.WalkDir("protos", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel("protos", path)
		sources[filepath.ToSlash(name)] = string(text)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return sources
}

// sources returns the .proto files as the target wants them.
func (target target) sources(t *testing.T) map[string]string {
	t.Helper()
	sources := protos(t)
	for name, text := range sources {
		sources[name] = strings.ReplaceAll(text, `"`+goPath, `"`+target.packages)
	}
	return sources
}
