"""Muon for the matrices inside the layers, AdamW for all else.

Muon (Jordan and others 2024, https://kellerjordan.github.io/posts/muon) makes the momentum of a matrix nearly orthogonal by five
Newton-Schulz steps. Trained on few tokens, as here, it gets as far as AdamW on two thirds of them; torch.optim.Muon takes one
matrix at a time, and the experts of a layer are one tensor.
"""

import torch

from precision import products

# Coefficients of the quintic iteration, from the same page.
A, B, C = 3.4445, -4.7750, 2.0315


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz iteration towards U V^T of each of [n, rows, columns]."""
    x = matrices.to(products())
    tall = x.shape[1] > x.shape[2]
    x = x.transpose(1, 2).contiguous() if tall else x
    x = x / (x.float().norm(dim=(1, 2), keepdim=True) + 1e-7).to(products())
    for _ in range(5):
        square = torch.bmm(x, x.transpose(1, 2))
        x = torch.baddbmm(x, torch.baddbmm(square, square, square, beta=B, alpha=C), x, beta=A)
    return (x.transpose(1, 2) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """Updates of root-mean-square 0.2, as AdamW's are, so that one rate and one decay serve both (Liu and others, arXiv 2502.16982)."""

    def __init__(self, parameters, lr: float, momentum: float = 0.95, weight_decay: float = 0.1):
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None):
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter)
                momentum = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                direction = parameter.grad.lerp(momentum, group["momentum"])
                rows, columns = parameter.shape[-2:]
                # Gate and up lie in one tensor and are matrices of their own.
                halves = 2 if parameter.dim() == 3 and rows > columns and rows % 2 == 0 else 1
                update = orthogonal(direction.view(-1, rows // halves, columns)).reshape(parameter.shape)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * 0.2 * max(rows // halves, columns) ** 0.5)


def optimisers(model, rate: float) -> list[torch.optim.Optimizer]:
    """Both, at a first rate."""
    inside, decayed, plain = [], [], []
    for name, parameter in model.named_parameters():
        if parameter.dim() == 1:
            plain.append(parameter)
        elif "layers." in name and not name.endswith("router"):
            inside.append(parameter)
        else:
            decayed.append(parameter)
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return [Muon(inside, rate), torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.95), fused=True)]
