"""An evaluation pass over a data set, as often as wanted, while the weights of the model change."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .compiled import Compiled
from .inference import batches
from .softmax import name_of
from .sources import as_source
from .step_logits import takes_probabilities


class EvaluationPass:
    """Gives ids, logits and labels of all examples in inference mode.

    Parameters
    ----------
    data, batch_size
        As for `predict`.
    """

    def __init__(self, data: Any, batch_size: int | None) -> None:
        self._source = as_source(data)
        self._batch_size = batch_size
        self._compiled: Compiled | None = None
        self._ids: NumpyArray | None = None

    def begin(self, model: Any) -> None:
        """Evaluate `model` from now on: it may have other layers than when it was evaluated before."""
        self._compiled = Compiled(model)

    def ids(self) -> list[Any]:
        """The ids of all examples; the data is read for them once."""
        if self._ids is None:
            self._ids = np.concatenate([ids for ids, _, _ in self._source.ordered(self._batch_size)])
        ids: list[Any] = self._ids.tolist()
        return ids

    def batches(self) -> Iterator[tuple[NumpyArray, Any, Any]]:
        """Ids (b,), logits (b, c) and labels of all examples.

        Raises
        ------
        PruneKitError
            As `predict`; if the loss takes probabilities, and no softmax is found that gives them.
        """
        compiled = self._compiled
        assert compiled is not None
        for batch in batches(compiled, self._source, batch_size=self._batch_size, device=None):
            loss = getattr(compiled.model, "loss", None)
            if takes_probabilities(loss) and not compiled.ends_in_softmax:
                raise PruneKitError(
                    f"the loss of the model {name_of(compiled.model)} takes probabilities "
                    "(from_logits=False), and no softmax is found that gives them: its outputs are "
                    "not taken for logits.",
                    hint="end the model in a softmax, or record the training pass: taken='training'",
                )
            yield batch.ids, batch.logits, batch.labels
