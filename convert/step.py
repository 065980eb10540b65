"""The step graph: the whole predictor for one reading, with every tensor named. What all targets are made from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edge.manifest import State
from train.predictor import Array, Predictor


class StepModule(nn.Module):
    """`forward(x, dt?, mask?, *state) -> (y, *extras, *state)` of a predictor in evaluation mode, for batch 1.

    `inputs` and `outputs` name the graph's tensors in order, `before` and `after` those of them that are the state,
    `given` those that are a reading. `example` holds tensors to trace with: the mean reading and the initial state.
    """

    def __init__(self, predictor: Predictor) -> None:
        super().__init__()
        self.predictor = predictor.eval()
        self.given = ("x", *predictor.takes)
        self.before = predictor.state_names
        self.after = tuple(f"{name}_next" for name in predictor.state_names)
        self.inputs = (*self.given, *self.before)
        self.outputs = ("y", *(extra.name for extra in predictor.extras), *self.after)
        self.initial = tuple(s.detach().clone() for s in predictor.init_state(1))
        fill = torch.as_tensor(predictor.scaler.fill, dtype=torch.float32).reshape(1, -1)
        usual = {"x": fill, "dt": torch.zeros(1, 1), "mask": torch.ones_like(fill)}
        self.example = (*(usual[name] for name in self.given), *self.initial)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """One step in the sensors' and the task's units."""
        return self.predictor.step(*inputs)

    def parts(self, rows: Array) -> list[Array]:
        """Rows [N, W] of `Predictor.rows` as the tensors of `given` [N, ·]."""
        return [part.numpy() for part in self.predictor.parts(torch.from_numpy(rows))]

    def states(self) -> tuple[State, ...]:
        """The manifest's state table; a tensor that starts with one value everywhere has it once."""
        return tuple(_row(n, s) for n, s in zip(self.before, self.initial, strict=True))


def _row(name: str, tensor: Tensor) -> State:
    values = tensor.flatten().tolist()
    init = tuple(values[:1]) if len(set(values)) == 1 else tuple(values)
    return State(name, tuple(tensor.shape), init)
