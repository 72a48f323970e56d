"""A model as one compiled function of a batch: traced once, whatever the size of the batches."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .batches import Inputs, Model, check_rank, model_errors, outputs
from .last_layer import inputs_of_last_layer
from .softmax import before_softmax, warn_of_softmax


class Compiled:
    """Gives the logits of a model in inference mode; its variables may change, its structure may not.

    Parameters
    ----------
    model
        See `predict`.
    features
        Whether to give the inputs of the last linear layer too.
    """

    def __init__(self, model: Model, *, features: bool = False) -> None:
        self.model = model
        self.gives_features = features
        self.ends_in_softmax = False
        """Whether the logits are what goes into a softmax; known after the first batch."""
        self.has_bias = True
        """Whether the last linear layer has a bias; known after the first batch."""
        self._function: Any = None

    def _logits(self, inputs: Inputs) -> tuple[tf.Tensor, tf.Tensor | None]:
        output = outputs(self.model, inputs)
        logits = before_softmax(output)
        self.ends_in_softmax = logits is not output
        if self.ends_in_softmax:
            warn_of_softmax(self.model)
        if not self.gives_features:
            return logits, None
        at_last, self.has_bias = inputs_of_last_layer(logits)
        return logits, at_last

    def __call__(self, inputs: Inputs) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Logits (b, c) and, where asked for, inputs (b, d) of the last linear layer.

        Raises
        ------
        PruneKitError
            As `forward`; if the inputs of the last layer are asked for and no linear layer gives the logits.
        """
        with model_errors(inputs):
            if self._function is None:
                # Without autograph, as Keras traces a model; a function of the user's may be a tf.function.
                self._function = tf.function(self._logits, autograph=False, reduce_retracing=True)
                # Traced for batches of any size, so that a ragged last one does not trace again.
                self._function.get_concrete_function(tf.nest.map_structure(of_any_size, inputs))
            logits, at_last = self._function(inputs)
        check_rank(logits)
        return logits, at_last


def of_any_size(x: Any) -> Any:
    """The type of an input, whose first axis is that of the examples."""
    spec = (
        tf.type_spec_from_value(x) if tf.is_tensor(x) else tf.TensorSpec.from_tensor(tf.convert_to_tensor(x))
    )
    if not isinstance(spec, tf.TensorSpec) or not spec.shape.rank:
        return spec
    return tf.TensorSpec([None, *spec.shape[1:]], spec.dtype)
