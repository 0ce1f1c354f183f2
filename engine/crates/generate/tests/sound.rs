//! Weights that are no numbers: one answer to all of them, whoever meets them, wherever they are.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flash::{DownChoice, FlashFile, PAGE, PackOptions, PageSums, Section, pack, xxh64};
use generate::{
    BenchOptions, BenchTest, Blame, FfnChoice, GenerateError, Options, PerplexityOptions, bench, blame_of_flash, perplexity, run,
};
use gguf::{Gguf, TensorType};

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../rivals/llama.cpp/fixtures")
        .join(format!("{name}.gguf"))
}

/// A copy of a fixture under a name of its own, removed at the end.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

/// NaN as a type writes its weights or scales, and where in a block it stands.
fn not_a_number(kind: TensorType) -> (usize, Vec<u8>) {
    match kind {
        TensorType::F32 => (0, f32::NAN.to_le_bytes().to_vec()),
        TensorType::Q6_K => (208, vec![0x00, 0x7e]),
        _ => (0, vec![0x00, 0x7e]),
    }
}

/// The model with NaN in the last block of one tensor.
fn damaged(name: &str, tensor: &str) -> Copy {
    let bytes = std::fs::read(fixture(name)).unwrap();
    let gguf = Gguf::parse(&bytes).unwrap();
    let found = gguf.tensor(tensor).unwrap_or_else(|| panic!("{name} has no {tensor}"));
    let (at, nan) = not_a_number(found.kind);
    let at = (found.offset + found.bytes - found.kind.block_bytes()) as usize + at;
    let mut bytes = bytes;
    bytes[at..at + nan.len()].copy_from_slice(&nan);
    let path = std::env::temp_dir().join(format!("neuronlab-nan-{}-{name}-{tensor}.gguf", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    Copy(path)
}

fn options(path: &Path) -> Options {
    Options {
        tokens: 2,
        threads: 1,
        ..Options::new(path, "one of the")
    }
}

fn refusal<A>(result: Result<A, GenerateError>, path: &Path, what: &str) {
    let error = result.map(|_| ()).unwrap_err();
    let text = error.to_string();
    assert_eq!(error.blame(), Blame::Input, "{text}");
    assert!(text.contains(&path.display().to_string()), "names the file: {text}");
    assert!(text.contains(what) && text.contains("NaN"), "names {what}: {text}");
}

#[test]
fn nan_in_any_tensor_is_refused_alike_by_all_that_load_and_by_packing() {
    for (name, tensor) in [
        ("llama-f32", "token_embd.weight"),
        ("llama-f32", "blk.1.attn_norm.weight"),
        ("llama-f16", "blk.0.attn_k.weight"),
        ("llama-q8_0", "blk.1.ffn_down.weight"),
        ("llama-q4_0", "blk.0.ffn_gate.weight"),
        ("llama-six-bit-output-q4_0", "output.weight"),
        ("smallthinker-softmax-q8_0", "blk.0.ffn_gate_inp.weight"),
        ("smallthinker-softmax-f32", "blk.1.ffn_up_exps.weight"),
        ("smallthinker-dense-q4_0", "blk.1.ffn_down_exps.weight"),
    ] {
        let copy = damaged(name, tensor);
        let options = options(&copy.0);
        refusal(run(&options, &mut |_| ControlFlow::Continue(())), &copy.0, tensor);
        let tests = BenchOptions {
            tests: vec![BenchTest::Generation(2)],
            warm_up: false,
            repetitions: 1,
            seed: 1,
        };
        refusal(bench(&options, &tests, &mut |_| ControlFlow::Continue(())), &copy.0, tensor);
        let text = PerplexityOptions {
            window: 8,
            ..PerplexityOptions::new("one of the one of the one of the one of the")
        };
        refusal(
            perplexity(&options, &text, &mut |_| ControlFlow::Continue(())),
            &copy.0,
            tensor,
        );

        for down in [DownChoice::Auto, DownChoice::Exact] {
            let out = copy.0.with_extension("flash");
            let options = PackOptions {
                down,
                ..PackOptions::default()
            };
            let error = pack(&copy.0, &out, &options, &mut |_| ControlFlow::Continue(())).unwrap_err();
            let text = error.to_string();
            assert_eq!(blame_of_flash(&error), Blame::Input, "{text}");
            assert!(text.contains(tensor) && text.contains("NaN"), "{text}");
            assert!(!out.exists(), "nothing is left");
        }
    }
}

#[test]
fn a_weight_too_large_for_the_packed_format_is_refused_and_not_made_infinite() {
    let name = "smallthinker-dense-f32";
    let mut bytes = std::fs::read(fixture(name)).unwrap();
    let at = Gguf::parse(&bytes)
        .unwrap()
        .tensor("blk.0.ffn_down_exps.weight")
        .unwrap()
        .offset as usize;
    bytes[at..at + 4].copy_from_slice(&1e30f32.to_le_bytes());
    let copy = Copy(std::env::temp_dir().join(format!("neuronlab-large-{}.gguf", std::process::id())));
    std::fs::write(&copy.0, bytes).unwrap();
    let packed = Copy(copy.0.with_extension("flash"));
    let with = |down| {
        let options = PackOptions {
            down,
            ..PackOptions::default()
        };
        pack(&copy.0, &packed.0, &options, &mut |_| ControlFlow::Continue(()))
    };
    let text = with(DownChoice::TransposedF16).unwrap_err().to_string();
    assert!(
        text.contains("blk.0.ffn_down_exps.weight") && text.contains("too large for f16"),
        "{text}"
    );
    with(DownChoice::Exact).unwrap();
}

/// Puts NaN into the last row of a matrix of a packed file and makes all checksums fit, as a version that did not look would have packed it.
fn spoil(path: &Path, place: impl Fn(&FlashFile) -> u64) {
    let file = FlashFile::open(path).unwrap();
    let at = place(&file) as usize;
    let (data, sums) = (file.section(Section::DenseData), file.section(Section::Checksums));
    let mut bytes = std::fs::read(path).unwrap();
    bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
    let page = at / PAGE as usize * PAGE as usize;
    let mut made = PageSums::default();
    made.update(&bytes[page..page + PAGE as usize]);
    let entry = sums.offset as usize + 4 * ((page as u64 - data.offset) / PAGE) as usize;
    bytes[entry..entry + 4].copy_from_slice(&made.sums()[0].to_le_bytes());
    let table = xxh64(&bytes[sums.offset as usize..sums.end() as usize]);
    let index = Section::ALL
        .iter()
        .position(|&section| section == Section::Checksums)
        .unwrap();
    bytes[56 + 24 * index..64 + 24 * index].copy_from_slice(&table.to_le_bytes());
    let header = xxh64(&bytes[..PAGE as usize - 8]);
    bytes[PAGE as usize - 8..PAGE as usize].copy_from_slice(&header.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn a_packed_file_from_before_packing_looked_is_refused_as_well() {
    let name = "smallthinker-dense-f32";
    let path = std::env::temp_dir().join(format!("neuronlab-nan-{}.flash", std::process::id()));
    let packed = Copy(path);
    for (place, what) in [
        ("gate", "gate of layer 1"),
        ("up", "up of layer 1"),
        ("down", "down of layer 1"),
        ("dense", "token_embd.weight"),
    ] {
        pack(&fixture(name), &packed.0, &PackOptions::default(), &mut |_| {
            ControlFlow::Continue(())
        })
        .unwrap();
        spoil(&packed.0, |file| {
            let layout = &file.layers()[1];
            match place {
                "gate" => layout.gate_row(0, 3).offset,
                "up" => layout.up_row(0, 3).offset,
                "down" => layout.down_unit(0, 3).offset,
                // Of a token that the prompt has not: nothing computed would show it.
                _ => file.dense_named("token_embd.weight").unwrap().1.offset,
            }
        });
        let all = |memory| Options {
            memory,
            ffn: FfnChoice::Auto,
            tokens: 64,
            stop_at_end: false,
            ..options(&packed.0)
        };
        for memory in [None, Some(1 << 30)] {
            // A gate that is NaN is not above zero: on flash, where rows are not looked at again, its neuron never fires.
            if place == "gate" && memory.is_some() {
                continue;
            }
            refusal(run(&all(memory), &mut |_| ControlFlow::Continue(())), &packed.0, what);
        }
    }
}
