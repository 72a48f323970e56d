"""Models as exporters make them: convolutions from PyTorch, BERT with several inputs, a quantised one."""

import warnings

import numpy as np
import pytest
import torch
from torch import nn

import prune_kit_onnx as pko
import prune_kit_torch as pkt
from prune_kit.data import load_examples, open_examples
from prune_kit.errors import PruneKitError


def export(model, path, *, inputs, names, dynamic):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        torch.onnx.export(
            model.eval(),
            tuple(inputs),
            path,
            dynamo=True,
            verbose=False,
            input_names=list(names),
            output_names=["logits"],
            dynamic_shapes=(dynamic,) * len(inputs),
        )
    return path


class Convolutions(nn.Module):
    """With BatchNorm, which the exporter folds into the convolution."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.AdaptiveAvgPool2d(2))
        self.head = nn.Linear(24, 10)

    def forward(self, x):
        return self.head(self.body(x).flatten(1))


@pytest.fixture(scope="session")
def convolutions():
    torch.manual_seed(0)
    model = Convolutions()
    for _ in range(5):
        model(torch.randn(64, 1, 8, 8) * 2 + 1)  # so that the running moments are not 0 and 1
    return model.eval()


@pytest.fixture(scope="session")
def exported(convolutions, tmp_path_factory):
    path = tmp_path_factory.mktemp("exported") / "convolutions.onnx"
    dynamic = {0: torch.export.Dim.DYNAMIC}
    return export(convolutions, path, inputs=[torch.randn(2, 1, 8, 8)], names=["x"], dynamic=dynamic)


SCORES = ("el2n", "margin", "cross_entropy", "grand_last_layer")


def test_torch_and_onnx_runtime_give_the_same_scores_of_the_digits(convolutions, exported):
    """Both standardise by themselves, and BatchNorm in front of ReLU is folded in one of them."""
    digits = load_examples("digits")
    here = pko.score(exported, open_examples("digits"), scores=SCORES)
    there = pkt.score(convolutions, digits, scores=SCORES)
    assert here.ids.tolist() == there.ids.tolist()
    for name in SCORES:
        np.testing.assert_allclose(here[name], there[name], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(here["el2n"], there["el2n"], atol=1e-5)


def test_half_precision(convolutions, tmp_path):
    dynamic = {0: torch.export.Dim.DYNAMIC}
    half = Convolutions()
    half.load_state_dict(convolutions.state_dict())
    path = export(
        half.half(),
        tmp_path / "half.onnx",
        inputs=[torch.randn(2, 1, 8, 8).half()],
        names=["x"],
        dynamic=dynamic,
    )
    digits = load_examples("digits")
    here = pko.score(path, digits, scores=("el2n", "grand_last_layer"))
    there = pkt.score(convolutions, digits)
    assert here["el2n"].dtype == np.float32
    np.testing.assert_allclose(here["el2n"], there["el2n"], atol=5e-3)


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A tiny BERT made from its configuration, and the file it was exported to."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=50, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=3, max_position_embeddings=16,
    )  # fmt: skip
    model = BertForSequenceClassification(config)
    nn.init.normal_(model.classifier.weight)
    nn.init.normal_(model.classifier.bias)
    path = tmp_path_factory.mktemp("bert") / "bert.onnx"
    names = ["input_ids", "attention_mask", "token_type_ids"]
    dynamic = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    inputs = [torch.ones(2, 6, dtype=torch.int64) for _ in names]  # one tensor twice would be one input
    return model.eval(), export(model, path, inputs=inputs, names=names, dynamic=dynamic)


@pytest.fixture(scope="session")
def texts():
    """Token ids of 20 texts of other lengths, and labels."""
    rng = np.random.default_rng(0)
    return [rng.integers(1, 50, rng.integers(3, 12)).tolist() for _ in range(20)], rng.integers(0, 3, 20)


def test_text_with_several_inputs_from_parquet(bert, texts, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    model, exported = bert
    tokens, labels = texts
    columns = {
        "attention_mask": [[1] * len(text) for text in tokens],
        "token_type_ids": [[0] * len(text) for text in tokens],
        "input_ids": tokens,
        "label": labels,
    }
    pq.write_table(pa.table(columns), tmp_path / "texts.parquet")
    here = pko.score(exported, open_examples(tmp_path / "texts.parquet"), batch_size=6, scores=SCORES)
    with torch.no_grad():
        one_by_one = [model(input_ids=torch.tensor([text])).logits[0] for text in tokens]
    logits = torch.stack(one_by_one).double().numpy()
    exps = np.exp(logits - logits.max(axis=1, keepdims=True))
    errors = exps / exps.sum(axis=1, keepdims=True) - np.eye(3)[labels]
    np.testing.assert_allclose(here["el2n"], np.linalg.norm(errors, axis=1), atol=1e-5)
    assert (here["grand_last_layer"] >= here["el2n"]).all()


def test_text_without_an_input_that_the_model_takes(bert, texts):
    ids = np.ones((20, 5), np.int64)
    with pytest.raises(PruneKitError, match="the data has input_ids, without attention_mask"):
        pko.score(bert[1], {"input_ids": ids, "label": texts[1]})


@pytest.fixture(scope="session")
def quantised(tmp_path_factory):
    """Makes the QDQ twin of a small model of the digits."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, quantize_static

    folder = tmp_path_factory.mktemp("quantised")
    digits = load_examples("digits")
    (plain,) = pko.make_small_models(digits, folder, seeds=[0], epochs=3)
    standardised = ((digits.inputs - digits.inputs.mean()) / digits.inputs.std()).astype(np.float32)

    class Calibration(CalibrationDataReader):
        def __init__(self):
            self.batches = iter([{"images": standardised.transpose(0, 3, 1, 2)[:500]}])

        def get_next(self):
            return next(self.batches, None)

    def make(name, **options):
        quantize_static(plain, folder / name, Calibration(), quant_format=QuantFormat.QDQ, **options)
        return folder / name

    return plain, make


def test_a_quantised_model_is_scored_as_what_it_is(quantised):
    plain, make = quantised
    digits = load_examples("digits")
    exact = pko.score(plain, digits)["el2n"]
    rounded = pko.score(make("all.onnx"), digits)["el2n"]
    assert 0 < np.abs(exact - rounded).max() < 0.5
    assert np.corrcoef(exact, rounded)[0, 1] > 0.9
    with pytest.raises(PruneKitError, match="rounded to 8 bits after the last layer"):
        pko.score(make("all.onnx"), digits, scores=("grand_last_layer",))


def test_a_quantised_model_with_a_last_layer_of_floats(quantised):
    plain, make = quantised
    import onnx

    last = [node for node in onnx.load(plain).graph.node if node.op_type == "Gemm"][-1]
    digits = load_examples("digits")
    names = ("grand_last_layer",)
    found = pko.score(make("body.onnx", nodes_to_exclude=[last.name]), digits, scores=names)[names[0]]
    exact = pko.score(plain, digits, scores=names)[names[0]]
    assert np.corrcoef(exact, found)[0, 1] > 0.9
