"""Claims about `report.html`: one file that opens anywhere and says what the run found, whatever the task."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from edge.spec import load_project
from tests.support.pumps import write_pumps
from train.pipeline import train_run
from train.report_html import Picture, render_html
from train.run import REPORT_PAGE, Run, load_run

VOID = {"meta", "link", "br", "img", "hr", "path", "use", "rect"}


class Page(HTMLParser):
    """Text, tags and links of a page; raises where a tag is closed that was not open."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(content)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href", "srcset", "action")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [v or "" for k, v in attrs if k in ("href", "src", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    folder = tmp_path_factory.mktemp("page")
    settings = ["train.epochs=4", "prune.amount=0.5", "prune.steps=1", "prune.last_epochs=3"]
    train_run(load_project(write_pumps(folder, "gru", epochs=4), settings), folder / "run")
    return load_run(folder / "run"), (folder / "run" / REPORT_PAGE).read_text()


def test_the_page_says_what_the_text_says(made: tuple[Run, str]) -> None:
    run, content = made
    text = Page(content).text
    assert run.report["verdict"] in text and "pruned: model.hidden 8 -> 4" in text
    for models in run.report["models"].values():
        for figure in models["measures"].values():
            assert figure["name"] in text
    assert {"gru", "ridge", "constant"} <= set(re.findall(r"[\w]+", text))


def test_both_pictures_are_in_the_page_and_nothing_is_fetched(made: tuple[Run, str]) -> None:
    page = Page(made[1])
    assert page.tags.count("svg") == 2 and "script" not in page.tags and "link" not in page.tags
    assert all(link.startswith("#") for link in page.links)
    assert not re.search(r"url\((?!#)|@import|<iframe|<object", made[1])
    assert "true cycles left" in page.text and "validation error (cycles)" in page.text and "prune to 4" in page.text


def test_pictures_follow_the_screens_light(made: tuple[Run, str]) -> None:
    drawn = made[1].partition("</style>")[2]
    assert "var(--ink)" in drawn and "#1f2430" not in drawn and "prefers-color-scheme: dark" in made[1]
    names = set(re.findall(r"var\((--\w+)\)", made[1]))
    assert all(f"{name}: #" in made[1] for name in names)


def test_the_same_run_makes_the_same_page(made: tuple[Run, str], tmp_path: Path) -> None:
    settings = ["train.epochs=4", "prune.amount=0.5", "prune.steps=1", "prune.last_epochs=3"]
    train_run(load_project(write_pumps(tmp_path, "gru", epochs=4), settings), tmp_path / "run")
    differs = re.compile(r"\d+ CPU seconds|&quot;path&quot;: .*")
    assert differs.sub("", (tmp_path / "run" / REPORT_PAGE).read_text()) == differs.sub("", made[1])


def test_names_cannot_break_the_page(made: tuple[Run, str]) -> None:
    report = {**made[0].report, "project": "<b>&pump", "verdict": "a < b & <script>x</script>"}
    page = Page(render_html(report, [Picture("t<i>", "<svg></svg>", "c<u>")], '{"a": "</pre><h1>"}'))
    assert "script" not in page.tags and "b" not in page.tags and page.tags.count("h1") == 1
    assert "a < b & <script>x</script>" in page.text and "</pre><h1>" in page.text


def test_every_epoch_of_every_course_is_recorded(made: tuple[Run, str]) -> None:
    courses = made[0].report["fit"]["courses"]
    assert [c["name"] for c in courses] == ["fit", "prune to 4"]
    assert [(len(c["losses"]), len(c["errors"])) for c in courses] == [(4, 4), (3, 3)]
    for course in courses:
        assert course["errors"][course["best_epoch"] - 1] == min(course["errors"])
    assert courses[-1]["errors"][courses[-1]["best_epoch"] - 1] == made[0].report["fit"]["validation_error"]
