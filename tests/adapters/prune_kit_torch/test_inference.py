import numpy as np
import pytest
import torch
from torch import nn

from prune_kit.errors import PruneKitError
from prune_kit_torch import predict
from prune_kit_torch.inference import choose_device, inference_mode

X = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
Y = torch.arange(10) % 3


def make_model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 3))


def test_logits_are_those_of_the_model_at_test_time_whatever_the_batch_size():
    model = make_model().train()
    model[1].running_mean += 1.0
    expected = make_model()
    expected[1].running_mean += 1.0
    expected.eval()
    with torch.no_grad():
        reference = expected(X)
    for batch_size in (1, 3, 10, 256):
        logits = torch.cat([batch.logits for batch in predict(model, (X, Y), batch_size=batch_size)])
        torch.testing.assert_close(logits, reference)


def test_the_model_is_found_again_as_it_was():
    model = make_model().train()
    model[1].eval()  # a frozen BatchNorm in a model that trains
    model(X).sum().backward()
    before = {
        "modes": [m.training for m in model.modules()],
        "grads": [p.grad.clone() for p in model.parameters()],
        "buffers": [b.clone() for b in model.buffers()],
        "requires": [p.requires_grad for p in model.parameters()],
    }
    list(predict(model, (X, Y), features=True))
    assert [m.training for m in model.modules()] == before["modes"]
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), before["grads"], strict=True))
    assert all(torch.equal(b, c) for b, c in zip(model.buffers(), before["buffers"], strict=True))
    assert not any(module._forward_hooks for module in model.modules())


def test_modes_come_back_after_an_exception():
    model = make_model().train()
    with pytest.raises(PruneKitError, match="mat1 and mat2"):
        list(predict(model, (X[:, :3], Y)))
    assert all(module.training for module in model.modules())


def test_what_happens_between_two_batches_is_not_in_inference_mode():
    model = make_model().train()
    for _ in predict(model, (X, Y), batch_size=4):
        assert torch.is_grad_enabled()
        assert model.training
        model(X).sum().backward()


def test_features_are_the_inputs_of_the_last_layer():
    model = make_model().eval()
    for batch in predict(model, (X, Y), batch_size=4, features=True):
        with torch.no_grad():
            torch.testing.assert_close(batch.features @ model[-1].weight.T + model[-1].bias, batch.logits)


def test_last_layer_is_found_by_what_it_gives_and_not_by_its_place():
    class Backwards(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(8, 3)  # registered first, used last
            self.body = nn.Linear(4, 8)

        def forward(self, x):
            return self.head(self.body(x).relu())

    batch = next(predict(Backwards(), (X, Y), features=True))
    assert batch.features.shape == (10, 8)


def test_a_model_that_does_not_end_in_a_linear_layer_has_no_features():
    with pytest.raises(PruneKitError, match="no linear layer of the model gives its logits"):
        list(predict(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), (X, Y), features=True))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Flatten(0), "must give logits of shape"),
        (nn.Sequential(nn.Linear(4, 3), nn.Unflatten(0, (5, 2)), nn.Flatten(1)), "5 rows of logits for 10"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(model, message):
    with pytest.raises(PruneKitError, match=message):
        list(predict(model, (X, Y)))


def test_soft_labels_with_another_number_of_classes_are_refused():
    with pytest.raises(PruneKitError, match="gives 3 classes, the labels have 5 columns"):
        list(predict(make_model(), (X, torch.full((10, 5), 0.2))))


def test_ids_are_numpy():
    ids = np.concatenate(
        [batch.ids for batch in predict(make_model(), (X, Y, np.arange(10) + 5), batch_size=4)]
    )
    assert ids.tolist() == list(range(5, 15))


def test_devices_that_cannot_be_had_are_errors():
    with pytest.raises(PruneKitError, match="`device` must be cpu, cuda"):
        choose_device("gpu")
    with pytest.raises(PruneKitError, match="cannot be had"):
        choose_device("cuda:99")


def test_inference_mode_turns_gradients_off_inside_only():
    model = make_model().train()
    with inference_mode(model):
        assert not torch.is_grad_enabled()
        assert not model.training
    assert torch.is_grad_enabled()
    assert model.training
