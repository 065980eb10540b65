"""Model families. A new one is one new file and one line here."""

from edge.registry import Registry

FAMILIES = Registry(
    "model family",
    {
        "gru": "train.models.gru:GRU",
        "tcn": "train.models.tcn:TCN",
        "nlinear": "train.models.nlinear:NLinear",
    },
)
