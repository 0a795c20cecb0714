// Package rust runs this module against the Rust crate ttrpc: its blocking half and its async one,
// each as server and as client, in processes of their own. The folder is a project of Cargo's, too;
// its build script generates the Rust code, so that no protoc is needed.
//
// The test builds it where TTRPC_TEST_RUST is set, as `.ci/run rust` does, and else is skipped.
package rust
