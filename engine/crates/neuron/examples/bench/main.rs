//! Times the kernels beside the roofs of the machine, in one run: `cargo run --release -p neuronlab-neuron --example bench`
//! (optionally with names of sections: gemv, cluster, lists, gemm, attention; and with numbers: only these percentages of active neurons). Results are checked before they are timed; every figure
//! is the best of many turns that alternate with the roof's. `turns` as the first word is one product, on call: see `turns.rs`.

mod data;
mod lists;
mod memory;
mod sections;
mod sparse;
mod timing;
mod turns;

use neuron::Kernels;

fn main() -> std::io::Result<()> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let kernels = Kernels::best();
    if let [first, words @ ..] = &wanted[..]
        && first == "turns"
    {
        return turns::turns(kernels, words);
    }
    let (percentages, names): (Vec<&String>, Vec<&String>) = wanted.iter().partition(|word| word.parse::<usize>().is_ok());
    let percentages: Vec<usize> = percentages.iter().filter_map(|word| word.parse().ok()).collect();
    let on = |name: &str| names.is_empty() || names.iter().any(|wanted| *wanted == name);
    println!(
        "backend {}, {} processors",
        kernels.name(),
        std::thread::available_parallelism().map_or(1, usize::from)
    );
    if on("gemv") {
        sections::gemv(kernels);
    }
    if on("cluster") {
        sparse::cluster(kernels, &percentages);
    }
    if on("lists") {
        lists::lists(kernels);
    }
    if on("gemm") {
        sections::gemm(kernels);
    }
    if on("attention") {
        sections::attention(kernels);
    }
    Ok(())
}
