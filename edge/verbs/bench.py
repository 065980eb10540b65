"""`edge bench`: yardsticks for model families beside the figures of papers."""

from __future__ import annotations

from pathlib import Path

import click


@click.group()
def bench() -> None:
    """Yardsticks for model families, beside the figures of papers."""


@bench.command()
@click.option("--task", required=True, metavar="NAME", help="What to learn; an unknown name lists them all.")
@click.option("--family", required=True, metavar="NAME", help="Who learns; an unknown name lists them all.")
@click.option("--length", type=click.IntRange(min=1), metavar="T", help="How long (adding, copy, char).")
@click.option("--text", type=click.Path(path_type=Path), help="The text (char), UTF-8.")
@click.option("--data", type=click.Path(path_type=Path), help="The four files of MNIST, or JSB_Chorales.mat.")
@click.option("--permuted", is_flag=True, help="Pixels in one fixed random order (mnist).")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of weights, order and dropout.")
@click.option("--set", "given", metavar="KEY=VALUE", multiple=True, help="A key of the family, such as hidden=64.")
@click.option(
    "--budget", type=click.IntRange(min=1), metavar="N", help="Weights it may have; the paper's if not given."
)
@click.option(
    "--rate", type=click.FloatRange(0, 1000, min_open=True), help="Top learning rate; the plan's if not given."
)
@click.option("--epochs", type=click.IntRange(min=1), help="At most so many; the plan's if not given.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), help="At most so much CPU time.")
@click.option("--device", type=click.Choice(["cpu", "cuda"]), default="cpu", show_default=True, help="Where it learns.")
@click.option("-o", "--out", "folder", type=click.Path(path_type=Path), help="Folder for report and picture.")
@click.option("--fresh", is_flag=True, help="Start anew where an interrupted run would go on.")
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
def sequence(
    task: str,
    family: str,
    length: int | None,
    text: Path | None,
    data: Path | None,
    permuted: bool,
    seed: int,
    given: tuple[str, ...],
    budget: int | None,
    rate: float | None,
    epochs: int | None,
    minutes: float | None,
    device: str,
    folder: Path | None,
    fresh: bool,
    as_json: bool,
) -> None:
    """Fit a family to a task of Bai, Kolter & Koltun 2018 and put the paper's figure beside ours.

    Tasks: adding (two marked numbers of T), copy (ten digits, T readings later), jsb (the next chord of a chorale),
    mnist (a digit, pixel by pixel), char (the next character of any text). Every family gets as many weights as the
    paper's; sizes, optimiser and top learning rate are the paper's where it names them; from the middle of the epochs
    on the rate falls along a half cosine. The weights that validated best are judged once on the test set. Beside it
    stands the norm of the gradient by lag, before and after: how far back an output feels its inputs. With -o an
    interrupted run goes on where it was when the same command is given again.
    """
    import json

    from edge.extras import needed_for

    with needed_for("`edge bench sequence`"):
        from train.sequence.base import Asked
        from train.sequence.bench import Wanted, bench_sequence
        from train.sequence.report import render_sequence
    asked = Asked(length, text, data, permuted)
    wanted = Wanted(task, family, asked, seed, given, budget, rate, epochs, minutes, device)
    report = bench_sequence(wanted, folder, fresh=fresh)
    click.echo(json.dumps(report, indent=1) if as_json else render_sequence(report))
