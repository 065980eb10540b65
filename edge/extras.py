"""Which extra of the distribution brings which library, so that a missing one is named by its remedy."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from edge.errors import MissingExtra

EXTRA_OF = {
    "torch": "train",
    "numpy": "train",
    "sklearn": "train",
    "scipy": "train",
    "matplotlib": "train",
    "statsmodels": "rank",
    "hmmlearn": "rank",
    "pyarrow": "parquet",
    "rich": "demo",
    "onnx": "convert",
    "onnxscript": "convert",
    "litert_torch": "convert",
    "ai_edge_quantizer": "convert",
    "flatbuffers": "convert",
    "tensorflow": "tensorflow",
    "ai_edge_litert": "litert",
    "tflite_runtime": "tflite",
    "onnxruntime": "onnx",
    "amqtt": "demo",
}
"""Import name of a library -> extra that installs it."""


def missing(error: ModuleNotFoundError, purpose: str) -> MissingExtra | None:
    """The clear form of `error` where its module belongs to an extra, else None. `purpose` begins the sentence."""
    name = (error.name or "").partition(".")[0]
    extra = EXTRA_OF.get(name)
    if extra is None:
        return None
    return _lacking(purpose, name, extra)


def require(extra: str, purpose: str) -> None:
    """Raises MissingExtra where a library that `extra` itself brings is not installed. To be asked first where an extra
    holds others: who lacks several of them is told the one that brings all.
    """
    for name in (name for name, of in EXTRA_OF.items() if of == extra):
        if find_spec(name) is None:
            raise _lacking(purpose, name, extra)


def _lacking(purpose: str, name: str, extra: str) -> MissingExtra:
    return MissingExtra(f"{purpose} needs `{name}`, which is not installed: pip install 'edgestep[{extra}]'")


@contextmanager
def needed_for(purpose: str) -> Iterator[None]:
    """Turn a ModuleNotFoundError of a known extra into MissingExtra; `purpose` is what the user asked for."""
    try:
        yield
    except ModuleNotFoundError as error:
        clear = missing(error, purpose)
        if clear is None:
            raise
        raise clear from error
