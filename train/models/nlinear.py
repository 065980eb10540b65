"""Linear maps of a window: the strongest simple forecaster, and a quick first look at any task."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from edge.errors import ProjectError
from train.models.base import Family, FamilyOptions, need


@dataclass(frozen=True)
class NLinearOptions(FamilyOptions):
    """`window` readings, the present one included; `features`: numbers made of each channel's window, which a head over
    all channels reads, beside the present reading; more than there are past readings would say nothing new. With 0
    there is no head: each channel's window makes its own share of the outputs, as in the paper, for tasks that have the
    same outputs for each channel, channel by channel within (`forecast`).
    """

    window: int = 48
    features: int = 8


class NLinear(Family):
    """Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?, section 4: NLinear.

    One matrix, the same for every channel, reads how the window's readings differ from the present one. Readings from
    before the first differ by nothing, so a machine that was just switched on is taken for one that stood still.
    `forward` convolves; `step` multiplies the shift buffer `past` [B, C, window - 1], `seen` [B, window - 1] being 1
    where it holds a reading.
    """

    Options = NLinearOptions
    width = "features"
    options: NLinearOptions

    def __init__(self, inputs: int, outputs: int, options: NLinearOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(options.window >= 2, "model.window", "at least 2")
        need(0 <= options.features <= 4096, "model.features", "from 0 to 4096")
        own, over = divmod(outputs, inputs)
        if not options.features and over:
            raise ProjectError(
                f"`model.features` = 0 gives each of {inputs} channels as many outputs, but the task asks for "
                f"{outputs}; set model.features to 1 or more"
            )
        self.window = nn.Linear(options.window - 1, options.features or own)
        # As small as a mean's: a window that has learnt nothing hardly says anything.
        nn.init.uniform_(self.window.weight, -1 / (options.window - 1), 1 / (options.window - 1))
        self.head = nn.Linear(inputs * options.features, outputs) if options.features else None
        self.level = nn.Linear(inputs, outputs, bias=False) if options.features else None

    @property
    def memory(self) -> int:
        """The window."""
        return self.options.window

    @property
    def state_names(self) -> tuple[str, ...]:
        """`past` and `seen`."""
        return ("past", "seen")

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """Nothing seen."""
        past = self.options.window - 1
        return torch.zeros(batch, self.inputs, past), torch.zeros(batch, past)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        taps, steps = self.window.weight.unsqueeze(1), x.shape[1]
        # Each channel of each row is a signal of its own; the reading before the first is the last of the padding.
        before = F.pad(x.mT.flatten(0, 1).unsqueeze(1)[..., :-1], (self.options.window - 1, 0))
        seen = F.pad(torch.ones(1, 1, steps - 1), (self.options.window - 1, 0))
        sums = F.conv1d(before, taps).reshape(len(x), self.inputs, -1, steps)  # [B, C, K, T]
        change = sums - x.mT.unsqueeze(2) * F.conv1d(seen, taps) + self.window.bias.unsqueeze(-1)
        return self._out(x, change.permute(0, 3, 1, 2))

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C], past [B, C, window - 1] and seen [B, window - 1] -> (y_t [B, O], *next of both)."""
        past, seen = rest
        apart = (past - x_t.unsqueeze(-1)) * seen.unsqueeze(1)
        change = self.window(apart.flatten(0, 1)).reshape(len(x_t), self.inputs, -1)  # [B, C, K]
        following = torch.cat([past[:, :, 1:], x_t.unsqueeze(-1)], -1)
        return self._out(x_t, change), following, torch.cat([seen[:, 1:], seen[:, :1] * 0.0 + 1.0], -1)

    def _out(self, x: Tensor, change: Tensor) -> Tensor:
        """x [..., C] and what was made of each window [..., C, K] -> [..., O]."""
        if self.head is None or self.level is None:
            return change.mT.flatten(-2)
        return self.head(change.flatten(-2)) + self.level(x)  # type: ignore[no-any-return]
