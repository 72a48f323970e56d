"""The HTML of tables and flags, parsed by the standard library's parser."""

from html.parser import HTMLParser

import numpy as np
import pytest

from prune_kit.noise import NoiseFlags, flag_noise
from prune_kit.table import ScoreTable

HOSTILE = '<script>alert("1")</script>&amp;<img src=x onerror=alert(1)>'


class Page(HTMLParser):
    """The tags, the attributes, the text, and the rows of every table; tags that do not fit are an error."""

    EMPTY = ("rect", "br")

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.text, self.tables = [], set(), [], "", []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [name for name, _ in attrs]
        self.open += [tag] if tag not in self.EMPTY else []
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes += [name for name, _ in attrs]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.tables[-1][-1][-1] += data


def test_the_first_rows_and_a_line_for_every_column():
    n = 30
    scores = np.linspace(0, 1, n)
    table = ScoreTable(np.arange(n) + 7, np.arange(n) % 3, {"score": scores, "flagged": scores > 0.8})
    page = Page(table._repr_html_())
    head, columns = page.tables
    assert head[0] == ["id", "label", "score", "flagged"]
    assert [row[:2] for row in head[1:]] == [[str(7 + i), str(i % 3)] for i in range(5)]
    assert [float(row[2]) for row in head[1:]] == pytest.approx(scores[:5], abs=1e-4)
    assert columns[0] == ["column", "distribution", "min", "median", "max"]
    assert float(columns[1][2]) == 0
    assert float(columns[1][4]) == 1
    assert columns[2][:2] == ["flagged", f"{int((scores > 0.8).sum())} true"]
    assert "30 examples, 3 classes" in page.text
    assert "and 25 more" in page.text


def test_heights_of_the_small_histogram_are_in_proportion_to_the_counts():
    import re

    scores = np.repeat([0, 1, 2], [100, 50, 25]).astype(float)
    html = ScoreTable(np.arange(175), np.zeros(175, int), {"score": scores})._repr_html_()
    heights = [float(each) for each in re.findall(r'<rect [^>]*height="([\d.]+)"', html)]
    assert heights == pytest.approx([24, 12, 6])


def test_hostile_names_ids_classes_and_provenance_stay_text():
    table = ScoreTable(
        np.array([HOSTILE, "b"]),
        [0, 1],
        {HOSTILE: [0.1, 0.2], "text": np.array([HOSTILE, "x"])},
        {"config": {"class_names": [HOSTILE, "b"]}, HOSTILE: HOSTILE},
    )
    html = table._repr_html_()
    page = Page(html)
    assert page.tags <= {
        "div",
        "p",
        "b",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "svg",
        "title",
        "rect",
    } | {
        "details",
        "summary",
        "pre",
    }
    assert not any(name.startswith("on") for name in page.attributes)
    assert "<script" not in html.lower()
    assert page.tables[0][0][2].startswith("<script>alert")  # as text
    assert page.tables[0][1][0].startswith("<script>alert")
    assert page.tables[0][1][1].startswith("0 (<script>alert")
    assert 'alert(\\"1\\")' in page.text  # the provenance, as JSON


def test_it_takes_its_colours_from_the_page():
    html = ScoreTable([1, 2], [0, 1], {"score": [0.1, 0.2]})._repr_html_()
    assert "background" not in html
    assert "currentColor" in html
    assert "#" not in html


@pytest.mark.parametrize(
    "table",
    [
        ScoreTable(np.zeros(0, int), np.zeros(0, int), {"score": np.zeros(0)}),
        ScoreTable([1, 2], np.eye(2), {"score": [np.nan, np.nan]}),
        ScoreTable([1, 2], [0, 1], {"forgetting": [np.inf, np.inf]}),
        ScoreTable([1, 2], [0, 1], {"probabilities": np.eye(2)}),
        ScoreTable([1, 2], [-1, 5], {}, {"config": {"class_names": ["a"]}}),
        ScoreTable([1, 2], [0, 1], {"score": [1, 2]}, {"config": "not a mapping"}),
    ],
)
def test_odd_tables(table):
    page = Page(table._repr_html_())
    assert f"{len(table)} examples" in page.text


def test_many_columns_and_a_long_provenance_are_cut():
    table = ScoreTable([1], [0], {f"c{i}": [0.5] for i in range(100)}, {"config": "x" * 100_000})
    html = table._repr_html_()
    assert "and 80 more columns" in html
    assert len(html) < 50_000


def test_flags():
    labels = np.arange(300) % 3
    logits = 8.0 * np.eye(3)[labels]
    labels[:5] = (labels[:5] + 1) % 3
    found = flag_noise(logits, labels)
    page = Page(found._repr_html_())
    pairs, suspects = page.tables
    assert "5 of 300 labels flagged, about 5 wrong" in page.text
    # True classes 0, 1, 2, 0, 1 were given the next one.
    assert {tuple(row[:2]): round(float(row[2])) for row in pairs[1:]} == {
        ("0", "1"): 2,
        ("1", "2"): 2,
        ("2", "0"): 1,
    }
    assert {row[0] for row in suspects[1:]} == {"0", "1", "2", "3", "4"}
    assert all(int(row[2]) == int(row[0]) % 3 for row in suspects[1:])


def test_flags_of_another_library_and_none():
    torch = pytest.importorskip("torch")
    none = NoiseFlags(torch.zeros(4, dtype=torch.bool), torch.zeros(4), torch.zeros(4), 0.0, torch.eye(2))
    page = Page(none._repr_html_())
    assert "0 of 4 labels flagged, about 0 wrong" in page.text
    assert page.tables == []
