"""Model families. A new one is one new file and one line here."""

from edge.registry import Registry

FAMILIES = Registry(
    "model family",
    {
        "cnn": "train.models.cnn:CNN",
        "gru": "train.models.gru:GRU",
        "gru_attention": "train.models.gru_attention:GRUAttention",
        "gru_d": "train.models.gru_d:GRUD",
        "linear_attention": "train.models.linear_attention:LinearAttention",
        "lstm": "train.models.lstm:LSTM",
        "mingru": "train.models.mingru:MinGRU",
        "nlinear": "train.models.nlinear:NLinear",
        "ode_rnn": "train.models.ode_rnn:OdeRNN",
        "rnn": "train.models.rnn:RNN",
        "s4d": "train.models.s4d:S4D",
        "tcn": "train.models.tcn:TCN",
        "transformer": "train.models.transformer:Transformer",
        "transformer_gru": "train.models.transformer_gru:TransformerGRU",
    },
)
