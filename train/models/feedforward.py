"""What stands beside attention in every block of a transformer: a network for each reading alone."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Feedforward(nn.Module):
    """x + W₂ relu(W₁ norm(x)) (Vaswani et al. 2017, section 3.3), normalised first (Xiong et al. 2020), so that deep
    stacks can be fitted at once. `expand` times as wide inside.
    """

    def __init__(self, width: int, expand: int, dropout: float) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.inner = nn.Linear(width, expand * width)
        self.outer = nn.Linear(expand * width, width)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width] -> the same shape."""
        return x + self.dropout(self.outer(torch.relu(self.inner(self.norm(x)))))  # type: ignore[no-any-return]
