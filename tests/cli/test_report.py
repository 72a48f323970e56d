"""`prunekit report`: one file, told in a line or as JSON."""

import json

import numpy as np


def test_a_report_of_scores(prunekit, scores):
    result = prunekit("report", "scores.parquet", "--out", "report.html", "--json")
    said = json.loads(result.stdout)
    assert said["path"] == "report.html"
    assert said["examples"] == 60
    assert said["missing"] == said["unreadable"] == 0
    assert "give it with --data" in said["note"]
    text = prunekit("report", "scores.parquet", "--out", "report.html")
    assert text.stdout.startswith("report.html: 60 examples, 60 of them to look at (1.")
    assert text.stderr.startswith("Warning: ")


def test_a_report_of_a_run_finds_its_data(prunekit, tmp_path, tiny):
    prunekit("score", "--framework", "torch", "--data", tiny, "--seeds", "2", "--at-epochs", "1,2",
             "--save-probabilities", "--out", "run")  # fmt: skip
    prunekit("flag", "run", "--out", "flags.parquet")
    prunekit("aggregate", "run", "--out", "scores.parquet")
    prunekit("prune", "scores.parquet", "--keep", "0.5", "--out", "kept.parquet")
    words = ["report", "run", "--flags", "flags.parquet", "--kept", "kept.parquet", "--out", "report.html"]
    result = prunekit(*words, "--json")
    said = json.loads(result.stdout)
    assert said["note"] is None
    assert said["shown"] == 64
    assert result.stderr == ""
    other = tmp_path / "other.npz"
    np.savez(other, x=np.zeros((3, 8), np.float32), y=np.zeros(3, np.int64), ids=np.arange(3) + 1000)
    result = prunekit(*words, "--data", other)
    assert "61 are missing from the data and 0 cannot be read" in result.stderr


def test_data_that_a_module_makes(prunekit, tmp_path, scores):
    (tmp_path / "mine.py").write_text(
        "import numpy as np\n"
        "from prune_kit.data import Examples\n"
        "def images():\n"
        "    pixels, ids = np.zeros((60, 4, 4, 1), np.uint8), np.arange(60)\n"
        "    return Examples(pixels, np.zeros(60, np.int64), ids, None, 'mine')\n"
        "pair = [1, 2]\n"
    )
    result = prunekit("report", "scores.parquet", "--data", "mine:images", "--out", "report.html", "--json")
    assert json.loads(result.stdout)["note"] is None
    result = prunekit("report", "scores.parquet", "--data", "mine:pair", "--out", "report.html", code=1)
    assert "must be or give prune_kit.data.Examples to be looked at; got list" in result.stderr


def test_what_is_wrong_is_one_line(prunekit, scores):
    for words, said in (
        (["scores.parquet", "--score", "el2n"], "a score and an epoch are chosen of a run"),
        (["nothing.parquet"], "there is no file nothing.parquet"),
        (["scores.parquet", "--flags", "scores.parquet"], "must have a column flagged"),
        (["scores.parquet", "--data", "nothing.npz"], "there is no file or folder nothing.npz"),
    ):
        result = prunekit("report", *words, "--out", "report.html", code=1)
        assert said in result.stderr
        assert result.stderr.count("\n") == 1
    assert "Missing option '--out'" in prunekit("report", "scores.parquet", code=2).stderr
