"""The three models, as engine/crates/model and llama.cpp compute them.

`mixture` and `dense` are SmallThinker's (llama.cpp: src/models/smallthinker.cpp): RMS norms, grouped-query attention with rotary
pairs half a head apart, and ReLU-gated experts whose router reads the residual stream as it enters the layer, before attention;
the weights of the chosen experts are divided by their sum. `dense` has one expert. `drelu` is Llama's layer with both gate and up
behind a ReLU, the form of TurboSparse (arXiv 2406.05955, section 3).
"""

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

from experts import ExpertFfn
from precision import products


@dataclass(frozen=True)
class Shape:
    """Sizes. All inner dimensions are multiples of 32, the block of Q8_0 and Q4_0."""

    architecture: str  # smallthinker or llama
    vocabulary: int = 4096
    context: int = 512
    hidden: int = 256
    layers: int = 6
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    neurons: int = 384  # of one expert
    experts: int = 8
    experts_used: int = 2
    rope_base: float = 10000.0
    norm_epsilon: float = 1e-6

    @property
    def double(self) -> bool:
        """Whether up passes a ReLU too."""
        return self.architecture == "llama"

    def describe(self) -> dict:
        return asdict(self)


SHAPES = {
    "mixture": Shape("smallthinker"),
    "dense": Shape("smallthinker", neurons=1536, experts=1, experts_used=1),
    "drelu": Shape("llama", neurons=1536, experts=1, experts_used=1),
}


def rotary(length: int, shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, [length, head_dim / 2]."""
    frequencies = shape.rope_base ** (-torch.arange(0, shape.head_dim, 2, dtype=torch.float32) / shape.head_dim)
    angles = torch.arange(length, dtype=torch.float32).unsqueeze(1) * frequencies
    return angles.cos(), angles.sin()


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotary embedding of [batch, heads, length, head_dim]: number i turns with number i + head_dim / 2."""
    low, high = x.chunk(2, dim=-1)
    return torch.cat([low * cos - high * sin, high * cos + low * sin], dim=-1)


class Attention(nn.Module):
    """Causal grouped-query attention without biases."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        width, kv_width = shape.heads * shape.head_dim, shape.kv_heads * shape.head_dim
        self.query = nn.Parameter(torch.empty(width, shape.hidden))
        self.key = nn.Parameter(torch.empty(kv_width, shape.hidden))
        self.value = nn.Parameter(torch.empty(kv_width, shape.hidden))
        self.output = nn.Parameter(torch.empty(shape.hidden, width))

    def forward(self, x, cos, sin):
        batch, length, _ = x.shape
        split = lambda weight, heads: F.linear(x, weight.to(x.dtype)).view(batch, length, heads, self.shape.head_dim).transpose(1, 2)
        q = turned(split(self.query, self.shape.heads), cos, sin)
        k = turned(split(self.key, self.shape.kv_heads), cos, sin)
        v = split(self.value, self.shape.kv_heads)
        repeat = self.shape.heads // self.shape.kv_heads
        k, v = k.repeat_interleave(repeat, dim=1), v.repeat_interleave(repeat, dim=1)
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return F.linear(mixed.transpose(1, 2).reshape(batch, length, -1), self.output.to(x.dtype))


class Layer(nn.Module):
    """One layer. `balances` takes the term that keeps experts busy; `told`, where there is one, what fired (see ExpertFfn)."""

    def __init__(self, shape: Shape):
        super().__init__()
        self.shape = shape
        self.attention_norm = nn.Parameter(torch.ones(shape.hidden))
        self.attention = Attention(shape)
        self.ffn_norm = nn.Parameter(torch.ones(shape.hidden))
        self.router = nn.Parameter(torch.empty(shape.experts, shape.hidden)) if shape.experts > 1 else None
        self.gate_up = nn.Parameter(torch.empty(shape.experts, 2 * shape.neurons, shape.hidden))
        self.down = nn.Parameter(torch.empty(shape.experts, shape.hidden, shape.neurons))

    def route(self, stream):
        """Weights and ids of the chosen experts, [T, used], and the load-balancing term (Switch Transformer, equation 4)."""
        tokens = stream.shape[0]
        if self.router is None:
            return stream.new_ones(tokens, 1), torch.zeros(tokens, 1, dtype=torch.int64), stream.new_zeros(())
        probabilities = F.linear(stream, self.router).softmax(dim=-1)
        weights, chosen = probabilities.topk(self.shape.experts_used, dim=-1)
        counts = torch.bincount(chosen.flatten(), minlength=self.shape.experts) / chosen.numel()
        balance = self.shape.experts * (counts * probabilities.mean(0)).sum()
        return weights / weights.sum(dim=-1, keepdim=True), chosen, balance

    def forward(self, stream, cos, sin, strength, balances, told, routes, keep):
        batch, length, hidden = stream.shape
        weights, chosen, balance = self.route(stream.reshape(-1, hidden))
        normed = F.rms_norm(stream, (hidden,), self.attention_norm, self.shape.norm_epsilon)
        stream = stream + self.attention(normed.to(products()), cos, sin)
        normed = F.rms_norm(stream, (hidden,), self.ffn_norm, self.shape.norm_epsilon)
        balances.append(balance)
        if routes is not None:
            routes.append(chosen)
        added = ExpertFfn.apply(
            normed.to(products()).view(-1, hidden), weights, chosen, self.gate_up, self.down, self.shape.double, strength, told, keep
        )
        return stream + added.view(batch, length, hidden)


class Model(nn.Module):
    """Tokens to the loss of the next ones."""

    def __init__(self, shape: Shape, seed: int = 1):
        super().__init__()
        self.shape = shape
        self.embedding = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden))
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.output_norm = nn.Parameter(torch.ones(shape.hidden))
        self.output = nn.Parameter(torch.empty(shape.vocabulary, shape.hidden))
        self.register_buffer("cos", rotary(shape.context, shape)[0].to(products()), persistent=False)
        self.register_buffer("sin", rotary(shape.context, shape)[1].to(products()), persistent=False)
        self.begin(seed)

    @torch.no_grad()
    def begin(self, seed: int) -> None:
        """Draws the weights: normal, with deviation 1 / sqrt(inputs); what writes to the stream smaller by the number of layers."""
        drawing = torch.Generator().manual_seed(seed)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 1:
                continue
            deviation = parameter.shape[-1] ** -0.5
            if name == "embedding":
                deviation = 0.1
            elif name.endswith(("attention.output", "down")):
                deviation *= (2 * self.shape.layers) ** -0.5
            parameter.normal_(0.0, deviation, generator=drawing)

    def forward(self, tokens, targets, strength=0.0, told=None, routes=None, reduction="mean", keep=None):
        """Cross-entropy (nats a token) and the mean of the terms that keep experts busy. Lists that are given get a layer's each; `keep`: see ExpertFfn."""
        length = tokens.shape[1]
        cos, sin = self.cos[:length], self.sin[:length]
        stream, balances = F.embedding(tokens, self.embedding), []
        for layer in self.layers:
            stream = layer(stream, cos, sin, strength / len(self.layers), balances, told, routes, keep)
        normed = F.rms_norm(stream, (self.shape.hidden,), self.output_norm, self.shape.norm_epsilon)
        logits = F.linear(normed.to(products()), self.output.to(products())).view(-1, self.shape.vocabulary).float()
        return F.cross_entropy(logits, targets.reshape(-1), reduction=reduction), torch.stack(balances).mean()

    def parameters_in_all(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

    def parameters_used(self) -> int:
        """Those of matrices that one token goes through: what a step costs."""
        idle = sum(
            (layer.gate_up.numel() + layer.down.numel()) * (1 - self.shape.experts_used / self.shape.experts) for layer in self.layers
        )
        return int(self.parameters_in_all() - idle - self.embedding.numel())
