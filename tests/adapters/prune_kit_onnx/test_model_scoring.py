"""K models are K seeds, in a run directory."""

import numpy as np
import pytest

import prune_kit
import prune_kit_onnx as pko
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError, RunConflictError
from prune_kit.store import Run


@pytest.fixture
def models(build, saved):
    """Three linear models of other weights, and what they give in float64."""

    def logits(seed):
        rng = np.random.default_rng(seed)
        return rng.standard_normal((4, 3)).astype(np.float32), rng.standard_normal(3).astype(np.float32)

    files = []
    for seed in range(3):
        weight, bias = logits(seed)
        model = build(
            [("Gemm", ["x", "W", "b"], ["y"], {})],
            inputs={"x": (1, ["N", 4])},
            outputs={"y": (1, ["N", 3])},
            weights={"W": weight, "b": bias},
        )
        files.append(saved(model, f"seed{seed}.onnx"))
    return files, [logits(seed) for seed in range(3)]


def test_a_seed_per_model(models, data, tmp_path, by_definition):
    files, weights = models
    run = pko.score_models(files, data, run=tmp_path / "run", epoch=5)
    assert run.parts() == [(0, 5), (1, 5), (2, 5)]
    for seed, (weight, bias) in enumerate(weights):
        part = run.read_part(seed, 5)
        expected = by_definition(data[0].astype(np.float64) @ weight + bias, data[1])
        np.testing.assert_allclose(part["el2n"], expected, rtol=1e-5)
        assert part.ids.tolist() == data[2].tolist()
        assert part.provenance["from_logits"] is True
    assert run.config["framework"] == "onnx"
    assert run.config["device"] == "cpu"
    assert run.config["data"]["examples"] == 23
    assert run.config["standardised"] is None
    assert run.made_with.keys() >= {"onnxruntime", "prune-kit", "numpy", "python"}
    table = prune_kit.aggregate_run(run)
    mean = np.mean([run.read_part(seed, 5)["el2n"] for seed in range(3)], axis=0, dtype=np.float64)
    np.testing.assert_allclose(table["score"], mean, rtol=1e-6)


def test_what_is_scored_stays_and_more_models_can_be_added(models, data, tmp_path):
    files, _ = models
    run = pko.score_models(files[:1], data, run=tmp_path / "run")
    stamp = run.part_path(0, 0).stat().st_mtime_ns
    run = pko.score_models(files, data, run=tmp_path / "run")
    assert run.part_path(0, 0).stat().st_mtime_ns == stamp
    whole = pko.score_models(files, data, run=tmp_path / "whole")
    for seed in range(3):
        assert run.read_part(seed, 0)["el2n"].tobytes() == whole.read_part(seed, 0)["el2n"].tobytes()


def test_a_wrong_model_in_the_middle_leaves_what_was_scored(models, data, tmp_path):
    files, _ = models
    content = files[1].read_bytes()
    files[1].write_bytes(content[:-30])
    with pytest.raises(PruneKitError, match="seed1.onnx is not a readable ONNX model"):
        pko.score_models(files, data, run=tmp_path / "run")
    assert Run.open(tmp_path / "run").parts() == [(0, 0)]
    files[1].write_bytes(content)
    assert len(pko.score_models(files, data, run=tmp_path / "run").parts()) == 3


def test_a_wrong_first_model_leaves_no_trace(models, data, tmp_path):
    files, _ = models
    files[0].write_bytes(b"junk")
    with pytest.raises(PruneKitError):
        pko.score_models(files, data, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_another_model_or_other_options_are_refused_with_what_differs(models, data, tmp_path):
    files, _ = models
    run = tmp_path / "run"
    pko.score_models(files, data, run=run)
    for options, said in (
        ({"std": 2.0}, "standardised was null, is now {"),
        ({"scores": ["margin"]}, "scores was"),
        ({"from_logits": True}, "from_logits was null, is now true"),
    ):
        with pytest.raises(RunConflictError) as raised:
            pko.score_models(files, data, run=run, **options)
        assert said in str(raised.value)
    with pytest.raises(RunConflictError, match="data.fingerprint was"):
        pko.score_models(files, (data[0] + 1, *data[1:]), run=run)
    files[0].write_bytes(files[1].read_bytes())
    with pytest.raises(RunConflictError, match="models.seed=0/epoch=0 was"):
        pko.score_models(files, data, run=run)


def test_weights_in_a_file_of_their_own_are_part_of_the_model(linear, data, tmp_path):
    import onnx

    path = tmp_path / "large.onnx"
    onnx.save(
        onnx.load_from_string(linear()), path, save_as_external_data=True, location="w.data", size_threshold=0
    )
    pko.score_models([path], data, run=tmp_path / "run")
    beside = tmp_path / "w.data"
    beside.write_bytes(beside.read_bytes()[::-1])
    with pytest.raises(RunConflictError, match="models.seed=0/epoch=0 was"):
        pko.score_models([path], data, run=tmp_path / "run")


def test_the_kits_names_say_seed_and_epoch(linear, data, saved, tmp_path):
    files = [saved(linear(), f"seed={seed}/epoch={epoch}.onnx") for seed in (0, 4) for epoch in (0, 20)]
    run = pko.score_models(files, data, run=tmp_path / "run")
    assert run.parts() == [(0, 0), (0, 20), (4, 0), (4, 20)]


def test_how_inputs_are_standardised_stands_in_run_json(tmp_path):
    digits = load_examples("digits")
    files = pko.make_small_models(digits, tmp_path, seeds=[0], epochs=1)
    found = pko.score_models(files, digits, run=tmp_path / "run").config["standardised"]
    assert found["scale"] == 1
    np.testing.assert_allclose(found["mean"], [digits.inputs.mean()], rtol=1e-6)
    np.testing.assert_allclose(found["std"], [digits.inputs.std()], rtol=1e-6)


def test_softmax_is_said_once_for_all_models(linear, data, saved, tmp_path):
    import warnings

    files = [saved(linear(behind=("Softmax",)), f"{i}.onnx") for i in range(3)]
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("default")
        run = pko.score_models(files, data, run=tmp_path / "run")
    assert len(said) == 1
    assert [run.read_part(seed, 0).provenance["from_logits"] for seed in range(3)] == [False] * 3


@pytest.mark.parametrize(
    ("files", "said"),
    [([], "must name at least one file"), (["none.onnx"], "there is no model none.onnx")],
)
def test_models_that_are_not_there(data, tmp_path, files, said):
    with pytest.raises(PruneKitError, match=said):
        pko.score_models(files, data, run=tmp_path / "run")


def test_probabilities_are_stored_where_asked_for(models, data, tmp_path):
    files, weights = models
    run = pko.score_models(files, data, run=tmp_path / "run", save_probabilities=True)
    for seed, (weight, bias) in enumerate(weights):
        logits = data[0].astype(np.float64) @ weight + bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        stored = run.read_part(seed, 0)["probabilities"]
        assert stored.dtype == np.float32
        np.testing.assert_allclose(stored, shares / shares.sum(axis=1, keepdims=True), rtol=1e-5)
    assert prune_kit.flag_run(run).ids.tolist() == data[2].tolist()
    pko.score_models(files, data, run=tmp_path / "plain")
    with pytest.raises(RunConflictError, match="save_probabilities was null, is now true"):
        pko.score_models(files, data, run=tmp_path / "plain", save_probabilities=True)
