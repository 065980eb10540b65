"""Transformer over a window: every reading looks back at those before it and takes what it asks for."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from edge.manifest import Extra
from train.models.attention import WindowAttention, fill, init_seen
from train.models.base import Family, FamilyOptions, need
from train.models.feedforward import Feedforward


@dataclass(frozen=True)
class TransformerOptions(FamilyOptions):
    """`dim`, how wide the stream of readings is; `heads` in each of `blocks`, over a `window` of readings; `expand`,
    how many times as wide the blocks are inside; `dropout` (share, while fitting) of what each part adds.
    """

    dim: int = 32
    heads: int = 2
    blocks: int = 2
    window: int = 32
    expand: int = 2
    dropout: float = 0.1


class Block(nn.Module):
    """Attention, then a network for each reading, both normalised first and added to what they read."""

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(options.dim)
        self.attention = WindowAttention(options.dim, options.heads, options.window)
        self.feed = Feedforward(options.dim, options.expand, options.dropout)
        self.dropout = nn.Dropout(options.dropout)

    def forward(self, x: Tensor) -> Tensor:
        """x [B, T, dim] -> the same shape."""
        return self.feed(x + self.dropout(self.attention(self.norm(x))))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, empty: Tensor, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As WindowAttention."""
        added, weights, keys, values = self.attention.step(self.norm(x_t), empty, keys, values)
        return self.feed(x_t + added), weights, keys, values


class Transformer(Family):
    """Vaswani et al. 2017, Attention Is All You Need, causal and over a window, normalised first (Xiong et al. 2020).

    Each block keeps the keys and values of the last `window` - 1 readings as they were computed then, in buffers that
    shift by one a step: what a block above them sees reaches further back with every block, in both forms alike.
    """

    Options = TransformerOptions
    width = "dim"
    options: TransformerOptions

    def __init__(self, inputs: int, outputs: int, options: TransformerOptions) -> None:
        super().__init__(inputs, outputs, options)
        need(1 <= options.dim <= 4096, "model.dim", "from 1 to 4096")
        need(1 <= options.heads <= 64, "model.heads", "from 1 to 64")
        need(1 <= options.blocks <= 64, "model.blocks", "from 1 to 64")
        need(2 <= options.window <= 4096, "model.window", "from 2 to 4096")
        need(1 <= options.expand <= 16, "model.expand", "from 1 to 16")
        need(0 <= options.dropout < 1, "model.dropout", "from 0 to below 1")
        self.entry = nn.Linear(inputs, options.dim)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.blocks))
        self.norm = nn.LayerNorm(options.dim)
        self.head = nn.Linear(options.dim, outputs)

    @property
    def memory(self) -> int:
        """1 + blocks · (window - 1) readings."""
        return 1 + self.options.blocks * (self.options.window - 1)

    @property
    def state_names(self) -> tuple[str, ...]:
        """`seen`, which places of the window hold a reading; `keys0`, `values0`, … of each block."""
        return ("seen", *(f"{kind}{block}" for block in range(self.options.blocks) for kind in ("keys", "values")))

    @property
    def state_bounds(self) -> dict[str, float]:
        """1 for `seen`."""
        return {"seen": 1.0}

    @property
    def extras(self) -> tuple[Extra, ...]:
        """`attention0` …: of each block the weights of its heads over the window, the present last."""
        shape = (1, self.options.heads, self.options.window)
        return tuple(Extra(f"attention{block}", shape) for block in range(self.options.blocks))

    def init_state(self, batch: int) -> tuple[Tensor, ...]:
        """An empty window, and zeros in the shapes of WindowAttention."""
        past = (tensor for block in self._blocks() for tensor in block.attention.init_state(batch))
        return (init_seen(batch, self.options.window), *past)

    def forward(self, x: Tensor, *more: Tensor) -> Tensor:
        """x [B, T, C] -> [B, T, O]."""
        x = self.entry(x)
        for block in self._blocks():
            x = block(x)
        return self.head(self.norm(x))  # type: ignore[no-any-return]

    def step(self, x_t: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        """x_t [B, C] and the state -> (y_t [B, O], *weights [B, heads, window], *next state)."""
        empty, seen = fill(rest[0])
        x_t = self.entry(x_t)
        looked: list[Tensor] = []
        following: list[Tensor] = [seen]
        for block, keys, values in zip(self._blocks(), rest[1::2], rest[2::2], strict=True):
            x_t, weights, *past = block.step(x_t, empty, keys, values)
            looked.append(weights)
            following += past
        return (self.head(self.norm(x_t)), *looked, *following)

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]
