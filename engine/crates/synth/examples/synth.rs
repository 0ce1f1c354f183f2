//! `synth --out FILE [options]`: writes a model with planted statistics and verifies that the engine sees them.

use std::time::Instant;

use model::{Activation, Architecture};
use neuron::Format;
use synth::{Shape, Statistics, SynthSpec, TOLERANCE, continuation, verify, write};
use text::SamplerOptions;

const USAGE: &str = "usage: synth [--out FILE | --check FILE] [options]
  --out FILE          write a model there
  --check FILE        verify one that is there already
  --arch smallthinker|llama   --activation silu|relu|drelu   --format q4_0|q8_0|f16|f32   --name TEXT
  --hidden N --neurons N --layers N --heads N --kv-heads N --head-dim N --experts N --used N --vocabulary N --context N
  --share X --overlap X --repeat X --up-share X --skew even|bamboo|EXPONENT|N:A,N:A,...
  --seed N --threads N
  --tokens N          tokens to verify with (0: do not)
  --continue N        N tokens after the ids of --prompt (300,266,17), greedily or at --temperature X";

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name}: {text}; must be a number"))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut spec = SynthSpec {
        name: "synth".to_owned(),
        architecture: Architecture::SmallThinker,
        activation: Activation::Relu,
        format: Format::Q4_0,
        shape: Shape {
            hidden: 512,
            neurons: 1536,
            layers: 4,
            heads: 8,
            kv_heads: 4,
            head_dim: 64,
            experts: 1,
            experts_used: 1,
            vocabulary: 4096,
            context: 4096,
        },
        statistics: Statistics::default(),
        seed: 1,
    };
    let (mut out, mut check, mut tokens, mut threads) = (None, None, 2048usize, 2usize);
    let (mut prompt, mut more) = (vec![300u32, 266, 317], 0usize);
    let mut sampling = SamplerOptions {
        temperature: 0.0,
        ..SamplerOptions::default()
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(name) = arguments.next() {
        let Some(text) = arguments.next() else {
            eprintln!("{USAGE}");
            std::process::exit(2);
        };
        let shape = &mut spec.shape;
        match name.as_str() {
            "--out" => out = Some(text),
            "--check" => check = Some(text),
            "--name" => spec.name = text,
            "--arch" => {
                let all = [Architecture::SmallThinker, Architecture::Llama];
                let found = all.into_iter().find(|one| one.name() == text);
                spec.architecture = found.ok_or_else(|| format!("--arch: {text}; must be smallthinker or llama"))?;
            }
            "--activation" => {
                let all = [Activation::Silu, Activation::Relu, Activation::DoubleRelu];
                let found = all.into_iter().find(|one| one.name() == text);
                spec.activation = found.ok_or_else(|| format!("--activation: {text}; must be silu, relu or drelu"))?;
            }
            "--format" => {
                let found = Format::ALL.into_iter().find(|one| one.name().eq_ignore_ascii_case(&text));
                spec.format = found.ok_or_else(|| format!("--format: {text}; must be q4_0, q8_0, f16 or f32"))?;
            }
            "--hidden" => shape.hidden = number(&name, &text)?,
            "--neurons" => shape.neurons = number(&name, &text)?,
            "--layers" => shape.layers = number(&name, &text)?,
            "--heads" => shape.heads = number(&name, &text)?,
            "--kv-heads" => shape.kv_heads = number(&name, &text)?,
            "--head-dim" => shape.head_dim = number(&name, &text)?,
            "--experts" => shape.experts = number(&name, &text)?,
            "--used" => shape.experts_used = number(&name, &text)?,
            "--vocabulary" => shape.vocabulary = number(&name, &text)?,
            "--context" => shape.context = number(&name, &text)?,
            "--share" => spec.statistics.share = number(&name, &text)?,
            "--overlap" => spec.statistics.overlap = number(&name, &text)?,
            "--repeat" => spec.statistics.repeat = Some(number(&name, &text)?),
            "--up-share" => spec.statistics.up_share = number(&name, &text)?,
            "--gate-rank" => spec.statistics.gate_rank = Some(number(&name, &text)?),
            "--skew" => spec.statistics.skew = text.parse()?,
            "--seed" => spec.seed = number(&name, &text)?,
            "--threads" => threads = number(&name, &text)?,
            "--continue" => more = number(&name, &text)?,
            "--temperature" => sampling.temperature = number(&name, &text)?,
            "--prompt" => prompt = text.split(',').map(|id| number(&name, id)).collect::<Result<_, _>>()?,
            "--tokens" => tokens = number(&name, &text)?,
            _ => {
                eprintln!("unknown option: {name}\n{USAGE}");
                std::process::exit(2);
            }
        }
    }
    if let Some(out) = &out {
        let begun = Instant::now();
        let written = write(&spec, out, threads)?;
        let seconds = begun.elapsed().as_secs_f64();
        println!("{out}: {:.1} MB in {seconds:.1} s", written.bytes as f64 / 1e6);
    }
    if let Some(file) = check.or(out) {
        check_file(&file, tokens, threads)?;
        if more > 0 {
            let said = continuation(&file, &prompt, more, sampling, threads)?;
            println!("{}\nids {:?}", said.text, &said.tokens[..said.tokens.len().min(64)]);
            let fired = said
                .share
                .map_or(String::new(), |share| format!(", {:.2} % of neurons fired", 100.0 * share));
            println!("{} tokens, {} different{fired}", said.tokens.len(), said.different());
        }
    }
    Ok(())
}

fn check_file(file: &str, tokens: usize, threads: usize) -> Result<(), Box<dyn std::error::Error>> {
    if tokens == 0 {
        return Ok(());
    }
    let begun = Instant::now();
    let report = verify(file, tokens, 1, threads)?;
    print!("{report}");
    println!("verified in {:.1} s", begun.elapsed().as_secs_f64());
    let misses = report.misses(&TOLERANCE);
    if misses.is_empty() {
        Ok(())
    } else {
        let lines: Vec<String> = misses.iter().map(ToString::to_string).collect();
        Err(format!("missed:\n{}", lines.join("\n")).into())
    }
}
