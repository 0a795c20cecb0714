//! Generates the messages, clients and service traits, without protoc: once for blocking code, once
//! for async code. The crate's blocking half has no streams.

use std::{env, fs, path::Path};
use ttrpc_codegen::{Codegen, Customize, ProtobufCustomize};

fn generate(name: &str, async_all: bool, protos: &[&str]) {
    let dir = Path::new(&env::var("OUT_DIR").unwrap()).join(name);
    fs::create_dir_all(&dir).unwrap();
    Codegen::new()
        .out_dir(&dir)
        .inputs(protos)
        .include("proto")
        .rust_protobuf()
        .customize(Customize { async_all, gen_mod: true, ..Default::default() })
        .rust_protobuf_customize(ProtobufCustomize::default().gen_mod_rs(false))
        .run()
        .unwrap();
    let mut all: Vec<_> = fs::read_dir(&dir)
        .unwrap()
        .map(|f| f.unwrap().path().file_stem().unwrap().to_str().unwrap().to_string())
        .filter(|f| f != "mod")
        .collect();
    all.sort();
    let mods: String = all.iter().map(|f| format!("pub mod {f};\n")).collect();
    fs::write(dir.join("mod.rs"), mods).unwrap();
}

fn main() {
    println!("cargo:rerun-if-changed=proto");
    generate("sync", false, &["proto/calls.proto"]);
    generate("async", true, &["proto/calls.proto", "proto/streams.proto"]);
}
