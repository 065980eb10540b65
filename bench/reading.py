"""How fast histories are read: rows a second from CSV and Parquet, and memory a row, for 14 channels.

Usage: python bench/reading.py [ROWS]
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHANNELS = [f"sensor_{i}" for i in range(14)]
MACHINE_ROWS = 2000


def main() -> None:
    """Write both files, then read each in a process of its own."""
    if len(sys.argv) > 2:
        measure(sys.argv[1], Path(sys.argv[2]))
        return
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 200_000
    with tempfile.TemporaryDirectory() as folder:
        for name, path in write(Path(folder), rows).items():
            subprocess.run([sys.executable, __file__, name, str(path)], check=True)


def write(folder: Path, rows: int) -> dict[str, Path]:
    """One history of machines, in both formats."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.csv
    import pyarrow.parquet

    x = np.random.default_rng(0).normal(size=(rows, len(CHANNELS))).round(4)
    columns = {"machine": [f"m{i // MACHINE_ROWS}" for i in range(rows)], "ts": 1.7e9 + np.arange(rows)}
    table = pa.table({**columns, **{name: x[:, i] for i, name in enumerate(CHANNELS)}, "failed": np.zeros(rows, bool)})
    paths = {name: folder / f"history.{name}" for name in ("csv", "parquet")}
    pyarrow.csv.write_csv(table, paths["csv"])
    pyarrow.parquet.write_table(table, paths["parquet"])
    return paths


def measure(name: str, path: Path) -> None:
    """Parse alone, then all the way to histories."""
    from edge.readers import READERS
    from edge.spec import parse_project
    from train.data.gather import gather

    project = parse_project(
        {
            "project": {"name": "bench"},
            "data": {"path": str(path), "reader": name, "failure": "failed"},
            "signals": {channel: {} for channel in CHANNELS},
            "task": {"kind": "rul"},
        }
    )
    started = time.process_time()
    rows = sum(1 for _ in READERS[name]().records(path, project.data, project.channels))
    parsed = time.process_time() - started
    before = peak()
    started = time.process_time()
    gather(project)
    whole = time.process_time() - started
    memory = (peak() - before) / rows
    print(  # noqa: T201
        f"{name}: {path.stat().st_size / rows:.0f} bytes a row, {rows / parsed:,.0f} rows a second parsed, "
        f"{rows / whole:,.0f} until they are histories, {memory:.0f} bytes of memory a row"
    )


def peak() -> int:
    """Bytes this process held at most so far; unlike getrusage, not those of whoever started it."""
    status = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM"))


if __name__ == "__main__":
    main()
