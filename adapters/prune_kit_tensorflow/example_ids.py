"""The ids that a data set brings with it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from prune_kit.arrays import NumpyArray
from prune_kit.batch_parts import ID_KEYS, batch_parts
from prune_kit.data import Examples

from .identified_data import is_identified


def ids_of_element(element: Any) -> Any:
    """The ids in an element of a data set, or their type in an element's type; None where there are none.

    Of ``(ids, element)``, as `with_ids` gives it; of a dict, or one that holds the inputs, under a usual key;
    or the third of ``(x, y, ids)``, if these can be ids: the third for Keras is the weights of examples.
    """
    if is_identified(element):
        return element[0]
    if isinstance(element, (tuple, list)) and element and isinstance(element[0], Mapping):
        return next((element[0][key] for key in ID_KEYS if key in element[0]), None)
    ids = batch_parts(element).ids
    return ids if not hasattr(ids, "dtype") or not tf.as_dtype(ids.dtype).is_floating else None


def as_ids(ids: Any) -> NumpyArray:
    """Ids as NumPy, TensorFlow's strings as text."""
    values = np.asarray(ids)
    return np.char.decode(values.astype(np.bytes_), "utf-8") if values.dtype.kind in "OS" else values


def own_ids(data: Any) -> NumpyArray | None:
    """The ids that `data` brings, which is read for them if it is no array; None where it has none."""
    if isinstance(data, Examples):
        return data.ids
    if isinstance(data, (tuple, list)):
        return as_ids(data[2]) if len(data) == 3 else None
    if isinstance(data, keras.utils.PyDataset):
        found = [ids_of_element(data[i]) for i in range(data.num_batches)]
    elif ids_of_element(data.element_spec) is None:
        return None
    else:
        found = [ids_of_element(element) for element in data]
    if not found or found[0] is None:
        return None
    return np.concatenate([np.atleast_1d(as_ids(ids)) for ids in found])
