// Package files is a fixture of layers_files_test.go: a.go and b.go use each other, as do the rest.
package files

type thing struct{ field int }

func use() { declared() }
