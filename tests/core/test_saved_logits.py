import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

import prune_kit
from prune_kit.errors import PruneKitError, RunConflictError, StoreError
from prune_kit.saved_logits import score_saved_logits

N, C = 40, 4
LABELS = np.arange(N) % C


def draw(seed):
    return (3 * np.random.default_rng(seed).standard_normal((N, C))).astype(np.float32)


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """Three files of logits and one of labels, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for seed in range(3):
        np.save(f"seed{seed}.npy", draw(seed))
    np.save("labels.npy", LABELS)
    return ["seed0.npy", "seed1.npy", "seed2.npy"]


def column(run, seed, epoch=0, name="el2n"):
    return run.read_part(seed, epoch)[name]


def written(seed):
    return Path("run", "scores", seed, "epoch=0", "part-0.parquet").stat().st_mtime_ns


def test_each_file_is_a_seed(saved):
    run = score_saved_logits(saved, "labels.npy", run="run")
    assert run.seeds == [0, 1, 2]
    assert run.epochs == [0]
    assert run.parts() == [(0, 0), (1, 0), (2, 0)]
    for seed in range(3):
        part = run.read_part(seed, 0)
        assert part["el2n"].dtype == np.float32
        assert part["el2n"].tobytes() == prune_kit.el2n(draw(seed), LABELS).tobytes()
        assert part.ids.tolist() == list(range(N))
        assert part.labels.tolist() == LABELS.tolist()
        assert part["predicted"].tolist() == draw(seed).argmax(1).tolist()
        assert (part.provenance["seed"], part.provenance["epoch"]) == (seed, 0)


def test_one_array_of_several_seeds(saved):
    np.save("all.npy", np.stack([draw(seed) for seed in range(3)]))
    together = score_saved_logits(["all.npy"], "labels.npy", run="together", epoch=5)
    apart = score_saved_logits(saved, "labels.npy", run="apart", epoch=5)
    assert together.parts() == apart.parts() == [(0, 5), (1, 5), (2, 5)]
    for seed in range(3):
        assert column(together, seed, 5).tobytes() == column(apart, seed, 5).tobytes()


def test_npz_with_labels_and_ids(saved):
    ids = np.array([f"img{i}" for i in range(N)])
    np.savez("a.npz", logits=draw(0), labels=LABELS, ids=ids)
    np.savez_compressed("b.npz", logits=draw(1))
    run = score_saved_logits(["a.npz", "b.npz"], run="run", scores=("el2n", "margin", "cross_entropy"))
    assert list(run.read_part(0, 0)) == ["predicted", "p_label", "el2n", "margin", "cross_entropy"]
    assert run.read_part(1, 0).ids.tolist() == ids.tolist()
    assert column(run, 1).tobytes() == prune_kit.el2n(draw(1), LABELS).tobytes()
    assert column(run, 0, name="margin").tobytes() == prune_kit.margin(draw(0), LABELS).tobytes()


def test_labels_and_ids_of_their_own_files(saved):
    np.savez("truth.npz", labels=LABELS, ids=np.arange(N) * 7)
    np.save("ids.npy", np.arange(N) + 100)
    run = score_saved_logits(saved, "truth.npz", run="run", ids="ids.npy")
    assert run.read_part(2, 0).ids.tolist() == list(range(100, 100 + N))
    run = score_saved_logits(saved, "truth.npz", run="other", ids="truth.npz")
    assert run.read_part(2, 0).ids.tolist() == list(range(0, 7 * N, 7))


def test_probabilities(saved):
    logits = draw(0).astype(np.float64)
    probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.save("p.npy", probabilities)
    run = score_saved_logits(["p.npy"], "labels.npy", run="run", from_logits=False)
    np.testing.assert_allclose(column(run, 0), prune_kit.el2n(logits, LABELS), rtol=1e-5)
    with pytest.raises(
        PruneKitError, match=r"seed0\.npy: with from_logits=False, rows must be probabilities"
    ):
        score_saved_logits(["seed0.npy"], "labels.npy", run="wrong", from_logits=False)


def test_soft_labels(saved):
    soft = np.full((N, C), 0.25)
    np.save("soft.npy", soft)
    run = score_saved_logits(saved[:1], "soft.npy", run="run")
    assert column(run, 0).tobytes() == prune_kit.el2n(draw(0), soft).tobytes()
    assert run.read_part(0, 0).labels.tolist() == soft.tolist()


def test_float64_and_half_precision_become_float32_columns(saved):
    np.save("wide.npy", draw(0).astype(np.float64))
    np.save("half.npy", draw(0).astype(np.float16))
    run = score_saved_logits(["wide.npy", "half.npy"], "labels.npy", run="run")
    assert column(run, 0).dtype == column(run, 1).dtype == np.float32
    np.testing.assert_allclose(column(run, 0), prune_kit.el2n(draw(0).astype(float), LABELS), rtol=1e-6)


def test_files_are_mapped_not_loaded(tmp_path):
    """A sparse file much larger than the memory that may grow: only mapping can read it."""
    resource = pytest.importorskip("resource")
    logits = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (3_000_000, 40))
    logits[::1000, 0] = 3
    del logits
    np.save(tmp_path / "labels.npy", np.zeros(3_000_000, np.int64))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run = score_saved_logits([tmp_path / "big.npy"], tmp_path / "labels.npy", run=tmp_path / "run")
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    assert len(run.read_part(0, 0)) == 3_000_000
    # 458 MiB of logits; labels, ids, columns and their Parquet file take some of their own.
    assert grown < 400


def test_a_finished_run_is_not_done_again(saved):
    score_saved_logits(saved[:2], "labels.npy", run="run")
    part = written("seed=0")
    score_saved_logits(saved[:2], "labels.npy", run="run")
    assert written("seed=0") == part
    Path("run/scores/seed=1/epoch=0/part-0.parquet").unlink()
    run = score_saved_logits(saved[:2], "labels.npy", run="run")
    assert run.parts() == [(0, 0), (1, 0)]
    assert written("seed=0") == part


def test_more_files_add_their_seeds(saved):
    score_saved_logits(saved[:2], "labels.npy", run="run")
    part = written("seed=1")
    run = score_saved_logits(saved, "labels.npy", run="run")
    assert run.seeds == [0, 1, 2]
    assert column(run, 2).tobytes() == prune_kit.el2n(draw(2), LABELS).tobytes()
    assert written("seed=1") == part


def test_other_logits_under_the_same_names_are_another_run(saved):
    """Of the same size, written by longer training: the scores of the first would be silently kept."""
    score_saved_logits(saved, "labels.npy", run="run")
    np.save("seed1.npy", draw(99))
    with pytest.raises(RunConflictError, match=r"what differs: logits\.seed=1 "):
        score_saved_logits(saved, "labels.npy", run="run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"labels": LABELS[::-1]}, r"what differs: data\.fingerprint was"),
        ({"ids": np.arange(N) + 1}, r"what differs: data\.fingerprint was"),
        ({"scores": ("margin",)}, "what differs: scores was"),
    ],
)
def test_another_command_on_the_same_run_is_refused(saved, change, said):
    score_saved_logits(saved, "labels.npy", run="run")
    options = {}
    for name in ("labels", "ids"):
        if name in change:
            np.save(f"{name}.npy", change[name])
    if "ids" in change:
        options["ids"] = "ids.npy"
    with pytest.raises(RunConflictError, match=said):
        score_saved_logits(saved, "labels.npy", run="run", scores=change.get("scores", ("el2n",)), **options)


def npy(array):
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def test_nan_and_infinite_logits_name_the_file_and_the_row(saved):
    for value, said in ((np.nan, "NaN"), (np.inf, "an infinity"), (-np.inf, "an infinity")):
        bad = draw(1)
        bad[17, 2] = value
        np.save("seed1.npy", bad)
        with pytest.raises(
            PruneKitError, match=rf"seed1\.npy: `logits` must be finite; got {said} in row 17"
        ):
            score_saved_logits(saved, "labels.npy", run="run")
    # Mended, the same command goes on.
    np.save("seed1.npy", draw(1))
    assert score_saved_logits(saved, "labels.npy", run="run").parts() == [(0, 0), (1, 0), (2, 0)]


def test_bad_labels_can_be_mended_and_the_command_repeated(saved):
    np.save("labels.npy", np.where(np.arange(N) == 3, 9, LABELS))
    with pytest.raises(PruneKitError, match=r"seed0\.npy: `labels` must lie in 0 \.\.\. 3.*got 9 in row 3"):
        score_saved_logits(saved, "labels.npy", run="run")
    np.save("labels.npy", LABELS)
    assert len(score_saved_logits(saved, "labels.npy", run="run").parts()) == 3


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"labels.npy": npy(np.full(N, -1))}, r"`labels` must lie in 0 \.\.\. 3.*got -1 in row 0"),
        ({"labels.npy": npy(LABELS[:-1])}, r"seed0\.npy has 40 rows of logits, labels\.npy has 39 labels"),
        ({"seed1.npy": npy(draw(1)[:30])}, r"seed1\.npy has 30 rows of logits, labels\.npy has 40 labels"),
        ({"labels.npy": npy(LABELS.astype(float))}, "must be integers; got float64"),
        ({"labels.npy": npy(np.zeros((N, C + 1)))}, r"`labels` must have shape \(40,\)"),
        ({"labels.npy": npy(LABELS[:0])}, r"labels\.npy must hold a label per example; it has none"),
        ({"labels.npy": npy(np.array(3))}, r"labels\.npy must hold labels of shape \(n,\)"),
        ({"seed1.npy": npy(draw(1)[:, :1])}, r"seed1\.npy: `logits` must have at least 2 classes"),
        (
            {"seed1.npy": npy(np.zeros(N))},
            r"seed1\.npy must hold logits of shape \(n, classes\) or .*; got \(40,\)",
        ),
        ({"seed1.npy": npy(np.full((N, C), "a"))}, r"seed1\.npy: `logits` must be real numbers"),
        ({"seed1.npy": npy(np.zeros((0, N, C)))}, r"seed1\.npy must hold logits .*; got \(0, 40, 4\)"),
        ({"seed1.npy": npy(draw(1))[:-7]}, r"seed1\.npy is not a readable NumPy file"),
        ({"seed1.npy": npy(draw(1))[:40]}, r"seed1\.npy is not a readable NumPy file"),
        ({"seed1.npy": b""}, r"seed1\.npy is not a readable NumPy file"),
        ({"seed1.npy": b"not NumPy's"}, r"seed1\.npy is not a readable NumPy file"),
        (
            {"seed1.npy": npy(np.array([None, "a"], object))},
            "arrays of objects, and what is not NumPy's, are never unpickled",
        ),
        ({"ids.npy": npy(np.zeros(N, np.int64))}, "must name each example once"),
        ({"ids.npy": npy(np.arange(N - 1))}, r"`ids` must have shape \(40,\), one per example; got \(39,\)"),
        ({"ids.npy": npy(np.linspace(0, 1, N))}, "`ids` must be integers or strings; got dtype float64"),
    ],
)
def test_bad_files_are_named_and_leave_no_part(saved, files, message):
    for name, content in files.items():
        Path(name).write_bytes(content)
    with pytest.raises(PruneKitError, match=message):
        score_saved_logits(saved, "labels.npy", run="run", ids="ids.npy" if "ids.npy" in files else None)
    assert not Path("run/scores/seed=1").exists()


def test_damaged_npz_is_a_store_error(saved):
    np.savez("a.npz", logits=draw(0), labels=LABELS)
    whole = Path("a.npz").read_bytes()
    for damaged in (whole[:-10], whole[:100], whole[:300] + b"\xff" * 50 + whole[350:]):
        Path("a.npz").write_bytes(damaged)
        with pytest.raises(StoreError, match=r"a\.npz is not a readable NumPy file"):
            score_saved_logits(["a.npz"], run="run")
    np.savez("a.npz", scores=draw(0), labels=LABELS)
    with pytest.raises(StoreError, match=r"a\.npz has no array 'logits'; it has scores, labels"):
        score_saved_logits(["a.npz"], run="run")
    with zipfile.ZipFile("a.npz", "w") as archive:
        archive.writestr("logits", b"text")
        archive.writestr("labels.npy", npy(LABELS))
    with pytest.raises(PruneKitError, match=r"a\.npz must hold logits"):
        score_saved_logits(["a.npz"], run="run")


def test_what_is_not_given_is_said(saved):
    with pytest.raises(PruneKitError, match=r"labels must be given: an \.npy of shape \(n,\)"):
        score_saved_logits(saved, run="run")
    with pytest.raises(PruneKitError, match="`logits` must name at least one file"):
        score_saved_logits([], "labels.npy", run="run")
    with pytest.raises(StoreError, match=r"there is no file none\.npy"):
        score_saved_logits(["none.npy"], "labels.npy", run="run")
    with pytest.raises(StoreError, match=r"there is no file none\.npy"):
        score_saved_logits(saved, "none.npy", run="run")
    with pytest.raises(PruneKitError, match="`scores` must be among el2n, .*; got 'el3n'"):
        score_saved_logits(saved, "labels.npy", run="run", scores=("el3n",))
    assert not Path("run").exists()
