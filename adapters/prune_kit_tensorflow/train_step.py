"""One step of training as one compiled function: gather, augment, forward, backward, update."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

import tensorflow as tf

from prune_kit.training import Augmentation

from .array_source import ArraySource
from .augmentation import augment
from .batches import Inputs, RawBatch, forward

Loss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_MOST_BYTES_AT_HAND = 2**31
_DRAWING = {
    "EagerPyFunc",
    "Multinomial",
    "ParameterizedTruncatedNormal",
    "PyFunc",
    "PyFuncStateless",
    "RandomGamma",
    "RandomPoissonV2",
    "RandomShuffle",
    "RandomStandardNormal",
    "RandomUniform",
    "RandomUniformInt",
    "TruncatedNormal",
}
# Seeds of tf.random operations are written into the graph when it is traced: the same ones in each process.
_SEED_OF_GRAPHS = 0


def cross_entropy(logits: tf.Tensor, labels: tf.Tensor) -> tf.Tensor:
    """Cross-entropy of each example; labels are class indices (b,) or soft (b, c)."""
    if labels.dtype.is_integer:
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
    return tf.nn.softmax_cross_entropy_with_logits(tf.cast(labels, logits.dtype), logits)


class TrainStep:
    """Trains a model on one batch; traced once, or twice where the last batch has another size.

    Parameters
    ----------
    model, optimizer
        The model is built, the optimizer too.
    loss
        ``loss(logits, labels)``, a scalar or one value per example. What Keras' regularisers add to
        `model.losses` is added.
    augmentation
        Of the examples at hand.
    source
        Where the examples come from; those of moderate size are held as one tensor, on the device.
    strategy
        Replicates the step where given; each replica takes its share of a batch.
    """

    def __init__(
        self,
        model: Any,
        optimizer: Any,
        loss: Loss,
        *,
        augmentation: Augmentation,
        source: Any,
        strategy: tf.distribute.Strategy | None,
    ) -> None:
        self._model = model
        self._optimizer = optimizer
        self._loss = loss
        self._augmentation = augmentation
        self._strategy = strategy
        self.traces = 0
        """How often a step was traced."""
        self.takes_rows = (
            strategy is None and isinstance(source, ArraySource) and source.rows.nbytes <= _MOST_BYTES_AT_HAND
        )
        """Whether `on_rows` can be used."""
        if self.takes_rows:
            self._prepare = source.prepare
            self._inputs = source.inputs if self._prepare is None else tf.constant(source.rows)
            self._labels = tf.identity(source.labels)
        # Without autograph, as Keras traces a model.
        self._on_rows = tf.function(
            self._step_on_rows,
            input_signature=(tf.TensorSpec([None], tf.int64), tf.TensorSpec([2], tf.int64)),
            autograph=False,
        )
        self._on_batch = tf.function(self._step_on_batch, autograph=False, reduce_retracing=True)

    @cached_property
    def draws(self) -> bool:
        """Whether `on_rows` draws from generators that no seed of Keras governs, such as tf.random's."""
        graph = self._on_rows.get_concrete_function().graph.as_graph_def()
        bodies = [graph.node, *(function.node_def for function in graph.library.function)]
        return any(node.op in _DRAWING for body in bodies for node in body)

    def on_rows(self, rows: Any, draw: Any) -> None:
        """Train on the examples at positions `rows` (b,), augmented by what the seed `draw` (2,) gives."""
        self._on_rows(rows, draw)

    def on_batch(self, batch: RawBatch) -> None:
        """Train on a batch that is augmented already."""
        if self._strategy is None:
            self._on_batch(batch.inputs, batch.labels)
        else:
            self._on_batch(*(_shares(part, self._strategy) for part in (batch.inputs, batch.labels)))

    def _step_on_rows(self, rows: tf.Tensor, draw: tf.Tensor) -> None:
        inputs = tf.gather(self._inputs, rows)
        if self._prepare is not None:
            inputs = self._prepare(inputs)
        self._update(augment(inputs, self._augmentation, seed=draw), tf.gather(self._labels, rows))

    def _step_on_batch(self, inputs: Inputs, labels: Any) -> None:
        if self._strategy is None:
            self._update(inputs, labels)
        else:
            self._strategy.run(self._update, args=(inputs, labels))

    def _update(self, inputs: Inputs, labels: tf.Tensor) -> None:
        self.traces += 1
        tf.random.set_seed(_SEED_OF_GRAPHS)
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            logits = forward(self._model, inputs, training=True)
            if logits.dtype in (tf.bfloat16, tf.float16):
                logits = tf.cast(logits, tf.float32)
            loss = tf.reduce_mean(self._loss(logits, labels)) * self._share_of_batch(labels)
            if penalties := getattr(self._model, "losses", ()):
                loss += tf.add_n([tf.cast(each, loss.dtype) for each in penalties]) / self._replicas
        # Summed over the replicas by the optimizer.
        self._optimizer.apply(tape.gradient(loss, variables), variables)

    @property
    def _replicas(self) -> int:
        return 1 if self._strategy is None else int(self._strategy.num_replicas_in_sync)

    def _share_of_batch(self, labels: tf.Tensor) -> Any:
        """The part of the batch that this replica has."""
        if self._strategy is None:
            return 1.0
        here = tf.cast(tf.shape(labels)[0], tf.float32)
        return here / tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, here)


def _shares(nested: Any, strategy: tf.distribute.Strategy) -> Any:
    """Tensors cut along the first axis into one part for each replica, as even as can be."""
    replicas = strategy.num_replicas_in_sync

    def share(of: Any) -> Any:
        replica = of.replica_id_in_sync_group
        return tf.nest.map_structure(
            lambda x: x[len(x) * replica // replicas : len(x) * (replica + 1) // replicas], nested
        )

    return strategy.experimental_distribute_values_from_function(share)
