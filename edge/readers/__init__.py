"""Histories as files: one reader a format. All but Parquet need the standard library only, so that a device replays
what was trained on.

A new format is one new file with a class that meets `edge.readers.base.Reader`, and one line here.
"""

from edge.registry import Registry

READERS = Registry(
    "reader",
    {
        "csv": "edge.readers.csv_text:CsvReader",
        "cmapss": "edge.readers.cmapss:CmapssReader",
        "parquet": "edge.readers.parquet:ParquetReader",
    },
)
