"""The sequence tasks of the literature, as yardsticks for families. A new one is one new file and one line here."""

from edge.registry import Registry

SEQUENCE_TASKS = Registry(
    "sequence task",
    {
        "adding": "train.sequence.adding:Adding",
        "copy": "train.sequence.copy_memory:CopyMemory",
        "jsb": "train.sequence.chorales:Chorales",
        "mnist": "train.sequence.digits:Digits",
        "char": "train.sequence.characters:Characters",
    },
)
