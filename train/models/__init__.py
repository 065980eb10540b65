"""Model families. A new one is one new file and one line here."""

from edge.registry import Registry

FAMILIES = Registry(
    "model family",
    {
        "cnn": "train.models.cnn:CNN",
        "gru": "train.models.gru:GRU",
        "gru_d": "train.models.gru_d:GRUD",
        "lstm": "train.models.lstm:LSTM",
        "mingru": "train.models.mingru:MinGRU",
        "nlinear": "train.models.nlinear:NLinear",
        "rnn": "train.models.rnn:RNN",
        "tcn": "train.models.tcn:TCN",
    },
)
