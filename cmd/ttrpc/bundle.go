package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// bundles is where containerd keeps what belongs to its shims.
const bundles = "/run/containerd/io.containerd.runtime.v2.task"

// shimFlags name a shim in the place of an address.
type shimFlags struct{ shim, root string }

func (s *shimFlags) declare(fs *flag.FlagSet) {
	fs.StringVar(&s.shim, "shim", "", "the shim of a container of containerd, `NAMESPACE/ID`, in the place of ADDRESS.\n"+
		"The namespace is sent along, and the id is the request where there is no -d")
	declareRoot(fs, &s.root)
}

func declareRoot(fs *flag.FlagSet, root *string) {
	fs.StringVar(root, "root", bundles, "the `DIR` of containerd's bundles, of which each is DIR/NAMESPACE/ID")
}

// bundle is one shim's, as far as its files tell.
type bundle struct {
	namespace, id string
	wrong         error  // why its files tell nothing
	Version       int    `json:"version"` // of the task service, and 0 where that is not known
	Address       string `json:"address"`
	Protocol      string `json:"protocol"`
}

// service returns the name of the shim's task service, if its version is known.
func (b *bundle) service() string {
	if b.Version == 0 {
		return ""
	}
	return fmt.Sprintf("containerd.task.v%d.Task", b.Version)
}

func (s *shimFlags) bundle() (*bundle, error) {
	namespace, id, ok := strings.Cut(s.shim, "/")
	if !ok || namespace == "" || id == "" {
		return nil, usagef("-shim %q has not the form NAMESPACE/ID; ttrpc shims lists them", s.shim)
	}
	b, err := readBundle(s.root, namespace, id)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, usagef("-shim %s: %s has no shim of that name; ttrpc shims lists them", s.shim, s.root)
	}
	if err != nil {
		return nil, usagef("-shim %s: %w; ttrpc shims lists them", s.shim, err)
	}
	return b, nil
}

// readBundle reads bootstrap.json, which containerd 2 writes, or the older file address.
func readBundle(root, namespace, id string) (*bundle, error) {
	dir := filepath.Join(root, namespace, id)
	b := &bundle{namespace: namespace, id: id, Protocol: "ttrpc"}
	data, err := os.ReadFile(filepath.Join(dir, "bootstrap.json"))
	if err == nil {
		if err := json.Unmarshal(data, b); err != nil {
			return nil, fmt.Errorf("bootstrap.json: %w", err)
		}
		return b, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	data, err = os.ReadFile(filepath.Join(dir, "address"))
	b.Address = strings.TrimSpace(string(data))
	return b, err
}

// allBundles returns the bundles below root, those too that can't be read. Folders that are none
// are left out.
func allBundles(root string) (all []*bundle, err error) {
	namespaces, err := os.ReadDir(root)
	if err != nil {
		return nil, usagef("containerd's bundles: %w (-root names another folder)", err)
	}
	for _, namespace := range namespaces {
		ids, err := os.ReadDir(filepath.Join(root, namespace.Name()))
		if errors.Is(err, fs.ErrPermission) {
			return nil, usagef("containerd's bundles: %w (they are root's)", err)
		}
		for _, id := range ids {
			b, err := readBundle(root, namespace.Name(), id.Name())
			if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
				continue
			}
			if err != nil {
				b = &bundle{namespace: namespace.Name(), id: id.Name(), Protocol: "-", wrong: err}
			}
			all = append(all, b)
		}
	}
	return all, nil
}
