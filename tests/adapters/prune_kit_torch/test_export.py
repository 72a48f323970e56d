"""Exported models score as they do in PyTorch."""

import numpy as np
import pytest
import torch
from torch import nn

import prune_kit_onnx as pko
from prune_kit.data import load_examples
from prune_kit.errors import PruneKitError
from prune_kit_torch import built_in_model, export_onnx, score


def test_a_model_of_images_scores_the_same_elsewhere(tmp_path):
    digits = load_examples("digits")
    torch.manual_seed(0)
    model = built_in_model("small-cnn", digits)()
    path = export_onnx(model, torch.zeros(2, 1, 8, 8), tmp_path / "seed=0" / "epoch=3.onnx")
    assert [each.name for each in path.parent.iterdir()] == ["epoch=3.onnx"]
    assert model.training
    names = ("el2n", "margin", "grand_last_layer")
    here, there = score(model, digits, scores=names), pko.score(path, digits, scores=names)
    assert here.ids.tolist() == there.ids.tolist()
    np.testing.assert_allclose(there["el2n"], here["el2n"], atol=1e-5)
    for name in names:
        np.testing.assert_allclose(there[name], here[name], rtol=1e-4, atol=1e-5)


class TwoInputs(nn.Module):
    """Gives its logits in a dict, as Hugging Face's models do."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(9, 4)
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4, 3)

    def forward(self, tokens, mask):
        mean = (self.embedding(tokens) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return {"logits": self.head(self.dropout(mean)), "mean": mean}


@pytest.mark.parametrize("as_dict", [False, True])
def test_several_inputs_by_name_or_position_of_any_length(tmp_path, as_dict):
    torch.manual_seed(0)
    model = TwoInputs()
    ones = torch.ones(2, 5, dtype=torch.int64)
    example = {"tokens": ones, "mask": ones} if as_dict else (ones, ones)
    path = export_onnx(model, example, tmp_path / "model.onnx")
    tokens, mask = torch.randint(0, 9, (7, 6)), torch.randint(0, 2, (7, 6))
    mask[:, 0] = 1
    inputs = (tokens.numpy(), mask.numpy())
    given = dict(zip(("tokens", "mask"), inputs, strict=True)) if as_dict else inputs
    found = next(pko.predict(path, (given, np.zeros(7, int)))).logits
    with torch.no_grad():
        expected = model.eval()(tokens, mask)["logits"].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("example", "said"),
    [
        (torch.zeros(1, 4), r"must be a batch of two examples or more; got \(1, 4\)"),
        ("x", "must be a tensor, or a tuple or dict of tensors; got str"),
        ((torch.zeros(2, 4), 3), "got Tensor, int"),
        (torch.zeros(2, 5), "PyTorch cannot export the model: "),
    ],
)
def test_examples_that_do_not_fit(tmp_path, example, said):
    with pytest.raises(PruneKitError, match=said):
        export_onnx(nn.Linear(4, 3), example, tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []
