"""Models of Keras and TensorFlow as ONNX files, to be scored where TensorFlow is not."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from prune_kit.atomic import atomic_path
from prune_kit.errors import MissingExtraError, PruneKitError

from .batches import Inputs, Model, forward
from .framework_errors import shortly_told

_OPSET = 17
_MOST_BYTES = 1 << 31  # where protobuf ends


def export_onnx(model: Model, example: Inputs, path: str | Path, /) -> Path:
    """Save a model as an ONNX file that takes any number of examples and gives logits.

    Parameters
    ----------
    model
        As for `predict`: of one that ends in a softmax the logits are what goes into it. It is exported in
        inference mode, and left as it was.
    example
        A batch of its inputs: an array or tensor, or a tuple or dict of these as the model is called with;
        the keys of a dict become the names of the inputs. The other axes are fixed as they are here, apart
        from those of whole numbers (tokens), whose second may have any length.
    path
        The file, ``seed=0/epoch=20.onnx``, say.

    Returns
    -------
    Path
        The file. Its output is called ``logits``.

    Raises
    ------
    MissingExtraError
        If onnx or tf2onnx is not installed.
    PruneKitError
        If the example is no batch, the model cannot take it or cannot be exported, or has weights of 2 GiB
        or more.
    StoreError
        If the file cannot be written.
    """
    tf2onnx = _tf2onnx()
    names, specs = _specs(example)
    structure = example if isinstance(example, (dict, tuple, list)) else None

    @tf.function(autograph=False, input_signature=specs)  # type: ignore[untyped-decorator]  # TensorFlow has no types
    def logits(*given: Any) -> dict[str, Any]:
        if isinstance(structure, dict):
            return {"logits": forward(model, dict(zip(names, given, strict=True)))}
        return {"logits": forward(model, given[0] if structure is None else tuple(given))}

    with _quiet():
        logits.get_concrete_function()  # what does not fit has the adapter's own messages
        try:
            proto, _ = tf2onnx.convert.from_function(logits, specs, opset=_OPSET)
        except (ValueError, TypeError, RuntimeError, NotImplementedError, tf.errors.OpError) as error:
            raise PruneKitError(
                f"tf2onnx cannot export the model: {shortly_told(error)}.",
                hint="an operation that ONNX lacks, or a shape that depends on values, does this",
            ) from error
    _check_operations(proto)
    size = proto.ByteSize()
    if size >= _MOST_BYTES:
        raise PruneKitError(
            f"a model of {size:,} bytes does not fit into one ONNX file.",
            hint='model.export(..., format="onnx") of Keras can put the weights into files beside it',
        )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as aside:
        aside.write_bytes(proto.SerializeToString())
    return path


def _check_operations(proto: Any) -> None:
    """Refuse a graph with operations of TensorFlow's own, which tf2onnx leaves in after logging them."""
    from onnx import defs

    known = {each.name for each in defs.get_all_schemas()}
    unknown = sorted({node.op_type for node in proto.graph.node if node.op_type not in known})
    if unknown:
        raise PruneKitError(
            f"tf2onnx cannot export the model: ONNX has no {', '.join(unknown)}.",
            hint="replace what the model computes there by operations that ONNX has",
        )


def _specs(example: Inputs) -> tuple[list[str], list[tf.TensorSpec]]:
    if isinstance(example, dict):
        names, arrays = list(example), list(example.values())
    elif isinstance(example, (tuple, list)):
        names, arrays = [f"inputs_{i}" for i in range(len(example))], list(example)
    else:
        names, arrays = ["inputs"], [example]
    if not arrays or not all(tf.is_tensor(each) or isinstance(each, np.ndarray) for each in arrays):
        raise PruneKitError(
            "`example` must be an array, or a tuple or dict of arrays; "
            f"got {', '.join(type(each).__name__ for each in arrays) or type(example).__name__}."
        )
    if any(len(each.shape) == 0 for each in arrays):
        raise PruneKitError(
            "`example` must be a batch, with the examples along the first axis; got a scalar."
        )
    return names, [_spec(name, each) for name, each in zip(names, arrays, strict=True)]


def _spec(name: str, array: Any) -> tf.TensorSpec:
    dtype = tf.as_dtype(array.dtype)
    rest = list(array.shape[1:])
    if len(rest) == 1 and dtype.is_integer:
        rest = [None]
    return tf.TensorSpec([None, *rest], dtype, name=name)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without tf2onnx' reports of its progress, and what it deprecates in others."""
    logger = logging.getLogger("tf2onnx")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=DeprecationWarning)
            yield
    finally:
        logger.setLevel(level)


def _tf2onnx() -> Any:
    try:
        import onnx  # noqa: F401 - what tf2onnx needs is told before it fails
        import tf2onnx
    except ImportError as error:
        raise MissingExtraError(
            f"exporting needs {error.name}, which is not installed.", hint='pip install "prune-kit[export]"'
        ) from error
    return tf2onnx
