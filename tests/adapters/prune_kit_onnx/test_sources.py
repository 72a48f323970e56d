"""What data may be, and that ids stay with their examples."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import prune_kit_onnx as pko
from prune_kit.data import load_examples, open_examples
from prune_kit.errors import PruneKitError


def read(data, batch_size=4):
    """All ids, inputs and labels."""
    batches = list(pko.as_source(data).batches(batch_size))
    assert all(len(batch.ids) <= batch_size for batch in batches)
    return [np.concatenate(part) for part in zip(*batches, strict=True)]


def test_arrays_batches_and_files_give_the_same(data, tmp_path):
    inputs, labels, ids = data
    np.savez(tmp_path / "data.npz", x=inputs, y=labels, ids=ids)
    loader = DataLoader(TensorDataset(*map(torch.from_numpy, data)), batch_size=6)
    given = [
        data,
        [(inputs[:10], labels[:10], ids[:10]), (inputs[10:], labels[10:], ids[10:])],
        {"x": inputs, "label": labels, "id": ids},
        loader,
        load_examples(tmp_path / "data.npz"),
        open_examples(tmp_path / "data.npz"),
    ]
    for each in given:
        found = read(each)
        np.testing.assert_array_equal(found[0], ids)
        np.testing.assert_array_equal(found[1], inputs)
        np.testing.assert_array_equal(found[2], labels)


def test_ids_are_positions_where_there_are_none(data):
    inputs, labels, _ = data
    for each in ((inputs, labels), [(inputs[:10], labels[:10]), (inputs[10:], labels[10:])]):
        assert read(each)[0].tolist() == list(range(23))


def test_labels_of_shape_n_1(data):
    assert read((data[0], data[1][:, None]))[2].tolist() == data[1].tolist()


def test_an_identity_is_of_the_data_not_of_its_batches(data):
    inputs, labels, ids = data
    halves = [(inputs[:10], labels[:10], ids[:10]), (inputs[10:], labels[10:], ids[10:])]
    thirds = [(inputs[i::3][:0], labels[i::3][:0], ids[i::3][:0]) for i in range(1)] + halves
    assert pko.as_source(halves).identity() == pko.as_source(thirds).identity()
    size, fingerprint = pko.as_source(data).identity()
    assert size == 23
    other = inputs.copy()
    other[5, 2] += 1
    assert pko.as_source((other, labels, ids)).identity()[1] != fingerprint
    assert pko.as_source((inputs, labels, ids + 1)).identity()[1] != fingerprint


def test_a_shuffled_loader_without_ids_is_refused(data):
    inputs, labels, ids = map(torch.from_numpy, data)
    loader = DataLoader(TensorDataset(inputs, labels), batch_size=6, shuffle=True)
    with pytest.raises(PruneKitError, match="`data` shuffles, and its batches bring no ids"):
        read(loader)
    loader = DataLoader(TensorDataset(inputs, labels, ids), batch_size=6, shuffle=True)
    found = read(loader)
    order = np.argsort(found[0])
    np.testing.assert_array_equal(found[1][order], data[0])


def test_an_iterator_gives_its_batches_once(data):
    source = pko.as_source(iter([data]))
    assert len(list(source.batches(50))) == 1
    with pytest.raises(PruneKitError, match="`data` is an iterator, whose batches can be gone through once"):
        list(source.batches(50))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (
            lambda x, y, i: 3,
            "`data` must be a stream of open_examples, a pair of arrays (inputs, labels), or",
        ),
        (lambda x, y, i: "digits", "Hint: files are opened with prune_kit.data.open_examples(path)"),
        (lambda x, y, i: (x, y[:-1]), "must have the same length; got 23 inputs and 22 labels"),
        (lambda x, y, i: (x, y, i[:-1]), "ids must be integers or strings, one per example: shape (23,)"),
        (lambda x, y, i: (x[:0], y[:0]), "`data` has no examples"),
        (lambda x, y, i: ({"a": x, "b": x[:-1]}, y), "got 22 inputs and 23 labels"),
        (lambda x, y, i: [x], "a batch must be (inputs, labels), (inputs, labels, ids) or a dict"),
        (
            lambda x, y, i: (np.zeros((23, 5, 5, 5), np.uint8), y),
            "with 1, 3 or 4 channels; got (23, 5, 5, 5)",
        ),
    ],
)
def test_data_that_is_none(data, make, said):
    with pytest.raises(PruneKitError) as raised:
        read(make(*data))
    assert said in str(raised.value)


def test_no_batches_at_all(linear):
    with pytest.raises(PruneKitError, match="`data` has no examples"):
        pko.score(linear(), [])


def test_a_stream_without_labels(data, tmp_path):
    np.savez(tmp_path / "data.npz", x=data[0])
    stream = open_examples(tmp_path / "data.npz", needs_labels=False)
    with pytest.raises(PruneKitError, match="has no labels"):
        pko.as_source(stream)
