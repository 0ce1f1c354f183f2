"""The gated FFN of one layer, experts and their choice included, with its gradient written out.

y = sum over the chosen experts e of w_e * (relu(x Wg_e) * a(x Wu_e)) Wd_e, with a the identity (ReGLU) or relu (dReLU).
Matrix products are in the format of x (precision.py) over the tokens of one expert at a time. Autograd would make a full-sized gradient for each of
the slices and keep every product in between; here each weight's gradient is written once.

What makes neurons sparse is Hoyer's square of the gates after their ReLU (Yang, Wen, Li: DeepHoyer, ICLR 2020, equation 4):
H(r) = (sum r)^2 / sum r^2, for a token and an expert, which is between 1 and the number of neurons and counts how many of them
matter. Unlike an L1 norm it does not change when all gates shrink, so it cannot be had by scaling gate down and up up.
"""

import math

import torch

EPSILON = 1e-12


def keep_strongest(inner: torch.Tensor, down: torch.Tensor, share: float) -> None:
    """Silences, in place, all but each token's strongest neurons of one expert: those that add the longest vectors to the stream."""
    silent = inner.shape[1] - math.ceil(share * inner.shape[1])
    if silent > 0:
        added = inner.abs() * down.norm(dim=0).to(inner.dtype)
        inner.scatter_(1, added.topk(silent, dim=1, largest=False).indices, 0.0)


class ExpertFfn(torch.autograd.Function):
    """Inputs: x [T, hidden], weights [T, used] float32, chosen [T, used] int64, gate_up [experts, 2 * neurons, hidden],
    down [experts, hidden, neurons], whether up passes a ReLU, the strength of the sparsity term, and a list or None.

    Output: [T, hidden] float32. The strength enters as the gradient of strength * mean H / neurons, whatever the loss: callers need
    not add it. `keep`, of evaluations alone: only this share of an expert's neurons, each token's strongest, is let through. The list gets (share of neurons of chosen experts whose activation is not zero, mean of H / neurons, and per chosen
    expert, ordered by expert and then by token, which neurons those were).
    """

    @staticmethod
    def forward(ctx, x, weights, chosen, gate_up, down, double, strength, told, keep=None):
        tokens, used = chosen.shape
        experts, neurons = gate_up.shape[0], down.shape[2]
        order = torch.argsort(chosen.flatten(), stable=True)
        ends = torch.bincount(chosen.flatten(), minlength=experts).cumsum(0).tolist()
        spans = [(expert, start, end) for expert, (start, end) in enumerate(zip([0, *ends], ends)) if end > start]
        inputs = x[order // used]
        gate_up16, down16 = gate_up.to(x.dtype), down.to(x.dtype)
        products = x.new_empty(tokens * used, 2 * neurons)
        for expert, start, end in spans:
            torch.mm(inputs[start:end], gate_up16[expert].t(), out=products[start:end])
        gates, ups = products.split(neurons, dim=1)
        gates.relu_()
        if double:
            ups.relu_()
        inner = gates * ups
        if keep is not None:
            for expert, start, end in spans:
                keep_strongest(inner[start:end], down[expert], keep)
        outputs = x.new_empty(tokens * used, x.shape[1])
        for expert, start, end in spans:
            torch.mm(inner[start:end], down16[expert].t(), out=outputs[start:end])
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order))
        together = (outputs[place].view(tokens, used, -1).float() * weights.unsqueeze(2)).sum(1)
        sums = gates.sum(1, keepdim=True, dtype=torch.float32)
        squares = torch.linalg.vector_norm(gates, dim=1, keepdim=True, dtype=torch.float32).square() + EPSILON
        if told is not None:
            fired = inner != 0 if double else gates > 0
            told.append((fired.float().mean().item(), ((sums.square() / squares).mean() / neurons).item(), fired))
        ctx.save_for_backward(inputs, weights, order, place, products, inner, outputs, gate_up16, down16, sums, squares)
        ctx.spans, ctx.double, ctx.strength = spans, double, strength
        return together

    @staticmethod
    def backward(ctx, grad):
        inputs, weights, order, place, products, inner, outputs, gate_up16, down16, sums, squares = ctx.saved_tensors
        tokens, used = weights.shape
        neurons, hidden = inner.shape[1], inputs.shape[1]
        gates, ups = products.split(neurons, dim=1)
        grad16 = grad.to(inputs.dtype)
        grad_outputs = grad16[order // used]
        grad_weights = (grad_outputs * outputs).sum(1, dtype=torch.float32)[place].view(tokens, used)
        grad_outputs.mul_(weights.flatten()[order].unsqueeze(1))
        grad_inner = torch.empty_like(inner)
        grad_down = torch.zeros(down16.shape, dtype=torch.float32)
        for expert, start, end in ctx.spans:
            torch.mm(grad_outputs[start:end], down16[expert], out=grad_inner[start:end])
            grad_down[expert] = grad_outputs[start:end].t() @ inner[start:end]
        grad_products = torch.empty_like(products)
        grad_gates, grad_ups = grad_products.split(neurons, dim=1)
        torch.mul(grad_inner, gates, out=grad_ups)
        if ctx.double:
            grad_ups.mul_(ups > 0)
        torch.mul(grad_inner, ups, out=grad_gates)
        if ctx.strength > 0:
            # d/dr of S^2 / Q is (2 S / Q) (1 - (S / Q) r).
            ratio = sums / squares
            scale = 2 * ctx.strength / (neurons * len(order)) * ratio
            grad_gates.addcmul_((-scale * ratio).to(gates.dtype), gates).add_(scale.to(gates.dtype))
        grad_gates.mul_(gates > 0)
        grad_inputs = torch.empty_like(inputs)
        grad_gate_up = torch.zeros(gate_up16.shape, dtype=torch.float32)
        for expert, start, end in ctx.spans:
            torch.mm(grad_products[start:end], gate_up16[expert], out=grad_inputs[start:end])
            grad_gate_up[expert] = grad_products[start:end].t() @ inputs[start:end]
        grad_x = grad_inputs[place].view(tokens, used, hidden).sum(1)
        return grad_x, grad_weights, None, grad_gate_up, grad_down, None, None, None, None
