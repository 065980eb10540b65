"""The step graph: the whole predictor for one reading, with every tensor named. What all targets are made from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge.manifest import State
from train.predictor import Predictor


class StepModule(nn.Module):
    """`forward(x, *state) -> (y, *state)` of a predictor in evaluation mode, for batch 1.

    `inputs` and `outputs` name the graph's tensors in order; `example` holds tensors to trace with: x [1, C] (the mean
    reading) and the initial state.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor.eval()
        states = predictor.init_state(1)
        self.inputs = ("x", *predictor.state_names)
        self.outputs = ("y", *(f"{name}_next" for name in predictor.state_names))
        fill = torch.as_tensor(predictor.scaler.fill, dtype=torch.float32)
        self.example: tuple[Tensor, ...] = (fill.reshape(1, -1), *(s.detach().clone() for s in states))

    def forward(self, x: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """One step in the sensors' and the task's units."""
        return self.predictor.step(x, *state)

    def states(self) -> tuple[State, ...]:
        """The manifest's state table; a tensor that starts with one value everywhere has it once."""
        return tuple(_row(n, s) for n, s in zip(self.inputs[1:], self.example[1:], strict=True))


def _row(name: str, tensor: Tensor) -> State:
    values = tensor.flatten().tolist()
    init = tuple(values[:1]) if len(set(values)) == 1 else tuple(values)
    return State(name, tuple(tensor.shape), init)
