"""A checkpoint to a GGUF file that llama.cpp and neuronlab read.

    python export.py --data DATA --checkpoint RUN/checkpoint.pt --out model.gguf --format q8_0 [--name NAME]

Formats: f32, f16, q8_0, q4_0. Norms and routers stay F32, and in q4_0 files the embedding and the output matrix are Q8_0, as
llama-quantize leaves an output matrix in more bits than the rest. A model with dReLU is written as architecture `llama` with
`neuronlab.activation`: llama.cpp has no such activation and would compute another model without a word.
"""

import argparse
import json
import os
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Kind

from model import Shape
from prepare import END_OF_TEXT

FORMATS = {
    "f32": (Kind.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (Kind.F16, gguf.LlamaFileType.MOSTLY_F16),
    "q8_0": (Kind.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
    "q4_0": (Kind.Q4_0, gguf.LlamaFileType.MOSTLY_Q4_0),
}
SOFTMAX = 1
NORMAL, CONTROL = 1, 3


def metadata(writer: gguf.GGUFWriter, shape: Shape, file_type: int, licence: str | None) -> None:
    """What the model is."""
    writer.add_file_type(file_type)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    if licence is not None:
        writer.add_license(licence)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.neurons)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_layer_norm_rms_eps(shape.norm_epsilon)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_rope_freq_base(shape.rope_base)
    if shape.double:
        writer.add_string("neuronlab.activation", "drelu")
        return
    writer.add_expert_count(shape.experts)
    writer.add_expert_used_count(shape.experts_used)
    writer.add_expert_feed_forward_length(shape.neurons)
    writer.add_uint32(f"{shape.architecture}.expert_gating_func", SOFTMAX)


def vocabulary(writer: gguf.GGUFWriter, path: Path, size: int) -> None:
    """The tokeniser of prepare.py, under the name by which GGUF readers know its pre-tokeniser."""
    model = json.loads(path.read_text(encoding="utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    if len(tokens) != size:
        raise SystemExit(f"{path}: {len(tokens)} tokens; the checkpoint has {size}")
    end = model["vocab"][END_OF_TEXT]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([CONTROL if id == end else NORMAL for id in range(size)])
    writer.add_token_merges([rule if isinstance(rule, str) else " ".join(rule) for rule in model["merges"]])
    writer.add_bos_token_id(end)
    writer.add_eos_token_id(end)
    writer.add_add_bos_token(False)


def adjacent(weight: np.ndarray, heads: int) -> np.ndarray:
    """Rows of a query or key matrix for readers that turn number 2 i with 2 i + 1 instead of i with i + half (architecture llama)."""
    rows, columns = weight.shape
    return weight.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns)


def tensors(state: dict, shape: Shape):
    """GGUF name, values and what they are: a `vector` (F32), an `end` (embedding, output) or a `matrix`."""
    values = {name: tensor.float().numpy() for name, tensor in state.items()}
    yield "token_embd.weight", values["embedding"], "end"
    yield "output_norm.weight", values["output_norm"], "vector"
    yield "output.weight", values["output"], "end"
    turn = adjacent if shape.double else lambda weight, _heads: weight
    for layer in range(shape.layers):
        own = lambda part: values[f"layers.{layer}.{part}"]
        named = lambda part: f"blk.{layer}.{part}.weight"
        yield named("attn_norm"), own("attention_norm"), "vector"
        yield named("attn_q"), turn(own("attention.query"), shape.heads), "matrix"
        yield named("attn_k"), turn(own("attention.key"), shape.kv_heads), "matrix"
        yield named("attn_v"), own("attention.value"), "matrix"
        yield named("attn_output"), own("attention.output"), "matrix"
        yield named("ffn_norm"), own("ffn_norm"), "vector"
        gate, up = np.split(own("gate_up"), 2, axis=1)
        if shape.double:
            for part, value in (("gate", gate), ("up", up), ("down", own("down"))):
                yield named(f"ffn_{part}"), value[0], "matrix"
            continue
        # With one expert nothing is chosen: its weight is 1 whatever the router says.
        router = own("router") if shape.experts > 1 else np.zeros((1, shape.hidden), dtype=np.float32)
        yield named("ffn_gate_inp"), router, "vector"
        for part, value in (("gate", gate), ("up", up), ("down", own("down"))):
            yield named(f"ffn_{part}_exps"), value, "matrix"


def kind_of(role: str, inside: Kind) -> Kind:
    """The format that a tensor is stored in."""
    if role == "vector":
        return Kind.F32
    return Kind.Q8_0 if role == "end" and inside == Kind.Q4_0 else inside


def export(state: dict, shape: Shape, tokeniser: Path, out: Path, form: str, name: str, licence: str | None = None) -> None:
    """Writes the file, whole or not at all."""
    inside, file_type = FORMATS[form]
    part = out.with_name(out.name + ".part")
    writer = gguf.GGUFWriter(part, shape.architecture)
    writer.add_name(name)
    metadata(writer, shape, file_type, licence)
    vocabulary(writer, tokeniser, shape.vocabulary)
    for tensor, value, role in tensors(state, shape):
        kind = kind_of(role, inside)
        writer.add_tensor(tensor, gguf.quants.quantize(np.ascontiguousarray(value), kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    os.replace(part, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--format", choices=FORMATS, required=True)
    parser.add_argument("--name", default="neuronlab novels")
    parser.add_argument("--licence", help="of the weights, such as CC0-1.0; default: the file says nothing of it")
    options = parser.parse_args()
    state = torch.load(options.checkpoint, weights_only=True)
    export(state["model"], Shape(**state["shape"]), options.data / "tokeniser.json", options.out, options.format, options.name, options.licence)
    print(f"{options.out}: {options.out.stat().st_size} bytes, step {state['step']}")


if __name__ == "__main__":
    main()
