"""The training step in PyTorch, eager or with the recurrence's step compiled.

The layers are the equations of the paper by PyTorch's operations, the gradient is by autograd,
the update is that of `fdrnn.model.optimizer` in place. The products that do not
depend on the state are made for all steps at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from fdrnn.model.initialization import Parameters
from fdrnn.model.moments import SIGMOID_SHIFT, SIGMOID_SLOPE
from fdrnn.model.optimizer import EPSILON
from fdrnn.model.settings import FastDropoutHyperparameters
from fdrnn.model.timing.step import CLIP_NORM, Batch


def _tanh_moments(a: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    m, w = 2 * a, 4 * v
    first = torch.sigmoid(m * torch.rsqrt(1 + math.pi / 8 * w))
    scale = torch.rsqrt(1 + math.pi / 8 * SIGMOID_SLOPE**2 * w)
    second = torch.sigmoid(SIGMOID_SLOPE * (m - SIGMOID_SHIFT) * scale)
    return 2 * first - 1, 4 * torch.clamp(second - first**2, min=0)


def torch_step(
    hyperparameters: FastDropoutHyperparameters,
    parameters: Parameters,
    batch: Batch,
    compiled: bool = False,
) -> Callable[[], tuple[float, float]]:
    """Return a function that makes one update and returns loss and gradient norm.

    The whole loop over time is too long to compile; one step of it, ``compiled``, is not.
    """
    torch.set_num_threads(1)
    p = {name: torch.tensor(value, requires_grad=True) for name, value in parameters.items()}
    velocity = {name: torch.zeros_like(value) for name, value in p.items()}
    mean_square = {name: torch.ones_like(value) for name, value in p.items()}
    x, target = torch.tensor(batch.x), torch.tensor(batch.target)
    n_steps, batch_size, _ = x.shape
    p_in = 1 - hyperparameters.dropout_input
    p_hidden = 1 - hyperparameters.dropout_hidden_to_hidden
    p_out = 1 - (hyperparameters.dropout_hidden_to_output or 0.0)

    def recur(
        drive_mean: torch.Tensor,
        drive_variance: torch.Tensor,
        mean: torch.Tensor,
        variance: torch.Tensor,
        weights: torch.Tensor,
        squared: torch.Tensor,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        a = drive_mean + (p_hidden * mean) @ weights
        noise = p_hidden * (1 - p_hidden) * mean**2 + p_hidden * variance
        return _tanh_moments(a, drive_variance + noise @ squared)

    cell = torch.compile(recur) if compiled else recur

    def loss_of() -> torch.Tensor:
        drive_mean = (p_in * x) @ p["W_in"] + p["b_h"]
        drive_variance = (p_in * (1 - p_in) * x**2) @ p["W_in"] ** 2
        squared = p["W_rec"] ** 2
        mean = p["h0"].expand(batch_size, -1)
        variance = torch.zeros_like(mean)
        means, variances = [], []
        for t in range(n_steps):
            mean, variance = cell(
                drive_mean[t], drive_variance[t], mean, variance, p["W_rec"], squared
            )
            means.append(mean)
            variances.append(variance)
        hidden, spread = torch.stack(means), torch.stack(variances)
        z = (p_out * hidden) @ p["W_out"] + p["b_y"]
        noise = p_out * (1 - p_out) * hidden**2 + p_out * spread
        logits = z * torch.rsqrt(1 + math.pi / 8 * (noise @ p["W_out"] ** 2))
        total = torch.nn.functional.binary_cross_entropy_with_logits(
            logits, target, reduction="sum"
        )
        return total / (n_steps * batch_size)

    def step() -> tuple[float, float]:
        with torch.no_grad():
            for name in p:
                velocity[name] *= hyperparameters.momentum
                p[name] -= velocity[name]
        loss = loss_of()
        gradients = torch.autograd.grad(loss, list(p.values()))
        with torch.no_grad():
            norm = math.sqrt(sum(float((g * g).sum()) for g in gradients))
            shrink = CLIP_NORM / max(norm, CLIP_NORM)
            for name, gradient in zip(p, gradients, strict=True):
                g = gradient * shrink
                square = mean_square[name]
                square.mul_(hyperparameters.decay).addcmul_(g, g, value=1 - hyperparameters.decay)
                change = hyperparameters.step_rate * g * torch.rsqrt(square + EPSILON)
                p[name] -= change
                velocity[name] += change
        return float(loss.detach()), norm

    return step
