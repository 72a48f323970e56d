"""Reports as files: what they hold, how large they are, and what is refused."""

import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from prune_kit.errors import MissingExtraError, PruneKitError, StoreError
from prune_kit.report import write_report
from prune_kit.subset_file import write_ids
from prune_kit.table import ScoreTable


def page_data(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(
        re.search(r'<script type="application/json" id="page-data">(.*?)</script>', text, re.S)[1]
    )


class Text(HTMLParser):
    """The words of a page, without its scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.words = []
        self._is_code = False
        self.feed(path.read_text(encoding="utf-8"))
        self.said = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self._is_code = tag in ("script", "style")

    def handle_data(self, data):
        if not self._is_code:
            self.words.append(data)


def test_a_report_of_a_file_says_what_the_file_says(scores, tmp_path):
    summary = write_report(scores, tmp_path / "report.html")
    assert summary.path == tmp_path / "report.html"
    assert summary.size == summary.path.stat().st_size
    assert (summary.examples, summary.missing, summary.unreadable) == (85, 0, 0)
    assert "do not say which data they are of" in summary.note
    said = Text(summary.path).said
    assert "reliability of 0.750; 0.95 needs about 19 seeds, 16 more" in said
    assert "two halves of the seeds keep 70.0% in common" in said
    assert "not in the picture: 1 that a seed never learned" in said.lower()
    data = page_data(summary.path)
    table = ScoreTable.read(scores)
    assert data["subset"]["sizes"] == np.bincount(table.labels).tolist()
    assert data["subset"]["commands"] == {"aggregate": None, "prune": f"prunekit prune {scores}"}


def test_a_report_of_a_run_shows_every_score_over_the_epochs(run, tmp_path):
    summary = write_report(run, tmp_path / "report.html", score="grand", epoch=2)
    data = page_data(summary.path)
    assert data["subset"]["score"] == "grand"
    assert data["subset"]["commands"]["aggregate"].startswith(
        f"prunekit aggregate {run} --score grand --epoch 2 "
    )
    assert {"relation-el2n", "relation-forgetting"} <= data["charts"].keys()
    # Epochs up to the chosen one; the parts of seed 2 are in another order than the others.
    rows = data["charts"]["epochs-el2n"]["layer"][0].get("data") or data["charts"]["epochs-el2n"]["data"]
    by_epoch = {row["epoch"]: row for row in rows["values"]}
    assert sorted(by_epoch) == [0, 1, 2]
    for epoch, row in by_epoch.items():
        of_seeds = []
        for seed in range(3):
            part = ScoreTable.read(run / f"scores/seed={seed}/epoch={epoch}/part-0.parquet")
            of_seeds.append(dict(zip(part.ids.tolist(), part["el2n"].tolist(), strict=True)))
        means = sorted(np.mean([seed[i] for seed in of_seeds]) for i in of_seeds[0])
        assert any(row["q50"] == pytest.approx(middle, rel=1e-6) for middle in means[29:31])
    medians = data["charts"]["class-epochs-el2n"]["data"]["values"]
    part = ScoreTable.read(run / "scores/seed=0/epoch=1/part-0.parquet")
    cats = [i for i, label in zip(part.ids.tolist(), part.labels.tolist(), strict=True) if label == 0]
    means = []
    for i in cats:
        seeds = [ScoreTable.read(run / f"scores/seed={s}/epoch=1/part-0.parquet") for s in range(3)]
        means.append(np.mean([seed["el2n"][seed.ids.tolist().index(i)] for seed in seeds]))
    (shown,) = [row["median"] for row in medians if row["class"] == "cat" and row["epoch"] == 1]
    assert any(shown == pytest.approx(middle, rel=1e-6) for middle in sorted(means)[9:11])


def test_the_kept_file_is_counted_class_by_class(scores, tmp_path):
    table = ScoreTable.read(scores)
    kept = table.ids[table.labels != 1][:20]
    write_ids(tmp_path / "kept.txt", kept)
    write_report(scores, tmp_path / "report.html", kept=tmp_path / "kept.txt")
    said = Text(tmp_path / "report.html").said
    assert "20 of 85 examples stay (23.5%)" in said
    assert "Nothing is kept of 1 class: dog." in said
    before = np.bincount(table.labels)
    after = np.bincount(table.labels[kept], minlength=3)
    for label, name in enumerate(("cat", "dog", "owl")):
        assert f"{name} {before[label]} {after[label]} {after[label] / before[label]:.1%}" in said


def test_many_examples_are_summarised(tmp_path, make_scores):
    for n, most in ((50_000, 2.0e6), (1_000_000, 2.0e6)):
        make_scores(tmp_path / "scores.parquet", n=n, class_names=[f"c{i}" for i in range(100)])
        summary = write_report(tmp_path / "scores.parquet", tmp_path / "report.html")
        assert summary.examples == n
        assert summary.shown < 1200
        assert summary.size < most


def test_labels_that_are_soft_are_said_to_be(tmp_path):
    rng = np.random.default_rng(0)
    soft = rng.dirichlet(np.ones(4), 30)
    ScoreTable(np.arange(30), soft, {"score": rng.random(30)}).to_parquet(tmp_path / "scores.parquet")
    write_report(tmp_path / "scores.parquet", tmp_path / "report.html")
    assert "Labels are soft" in Text(tmp_path / "report.html").said
    assert page_data(tmp_path / "report.html")["subset"]["sizes"] == np.bincount(soft.argmax(1)).tolist()


@pytest.mark.parametrize("n", [1, 2])
def test_very_few_examples(tmp_path, n):
    ScoreTable(np.arange(n), np.zeros(n, int), {"score": np.ones(n)}).to_parquet(tmp_path / "scores.parquet")
    assert write_report(tmp_path / "scores.parquet", tmp_path / "report.html").shown == n


def test_what_does_not_belong_together_is_refused(scores, run, tmp_path):
    out = tmp_path / "report.html"
    with pytest.raises(PruneKitError, match="a score and an epoch are chosen of a run"):
        write_report(scores, out, epoch=3)
    with pytest.raises(StoreError, match="there is no file"):
        write_report(tmp_path / "nothing.parquet", out)
    with pytest.raises(PruneKitError, match="has no column 'score'"):
        write_report(run / "scores/seed=0/epoch=0/part-0.parquet", out)
    with pytest.raises(PruneKitError, match="must have a column flagged"):
        write_report(scores, out, flags=scores)
    write_ids(tmp_path / "kept.txt", np.array([1, 2, 99]))
    with pytest.raises(PruneKitError, match=r"has no example with the ids 99"):
        write_report(scores, out, kept=tmp_path / "kept.txt")
    table = ScoreTable.read(scores)
    flags = ScoreTable(table.ids, (table.labels + 1) % 3, {"flagged": np.ones(85, bool)})
    flags.to_parquet(tmp_path / "flags.parquet")
    with pytest.raises(PruneKitError, match="has other labels than"):
        write_report(scores, out, flags=tmp_path / "flags.parquet")
    bad = ScoreTable(np.arange(2), np.zeros(2, int), {"score": np.array([0.1, np.nan])})
    bad.to_parquet(tmp_path / "nan.parquet")
    with pytest.raises(PruneKitError, match="must not be NaN"):
        write_report(tmp_path / "nan.parquet", out)
    assert not out.exists()


def test_what_was_there_stays_where_a_report_cannot_be_made(scores, tmp_path):
    out = tmp_path / "report.html"
    out.write_text("before")
    with pytest.raises(StoreError):
        write_report(scores, out, data=tmp_path / "nothing.npz")
    assert out.read_text() == "before"


def test_data_that_has_gone_is_said_to_have(make_scores, tmp_path):
    config = {"class_names": ["a", "b"], "data_source": str(tmp_path / "gone.parquet")}
    make_scores(tmp_path / "scores.parquet", class_names=("a", "b"), config=config)
    summary = write_report(tmp_path / "scores.parquet", tmp_path / "report.html")
    assert "there is no file or folder" in summary.note
    assert "The examples cannot be shown" in Text(tmp_path / "report.html").said


def test_the_extra_that_is_missing_is_named(scores, tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "altair", None)
    with pytest.raises(MissingExtraError, match=r"needs altair.*prune-kit\[report\]"):
        write_report(scores, tmp_path / "report.html")
