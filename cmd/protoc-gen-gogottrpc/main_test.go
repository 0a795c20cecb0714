package main

import (
	"strings"
	"testing"
)

func TestParameters(t *testing.T) {
	for _, parameter := range []string{
		"", "plugins=ttrpc", "paths=import", "paths=source_relative", "import_path=a/b", "import_prefix=a/", "annotate_code=true",
		"Ma.proto=example.com/a", "unimplemented=false", "plugins=ttrpc+grpc,paths=import,",
	} {
		if err := checkParameters(parameter); err != nil {
			t.Errorf("%q: %v", parameter, err)
		}
	}
	for parameter, want := range map[string]string{
		"module=a":      `unknown parameter "module": want plugins, unimplemented, paths, import_path, import_prefix, annotate_code or Mfile.proto`,
		"paths=bogus":   "want paths=import or paths=source_relative",
		"unimplemented": "want unimplemented=true or unimplemented=false",
		"plugins=x":     `unknown plugin "x" in plugins=x: want ttrpc`,
	} {
		if err := checkParameters(parameter); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", parameter, err, want)
		}
	}
}
