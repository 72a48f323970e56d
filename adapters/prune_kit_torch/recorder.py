"""The recorder of the core in PyTorch's training loops: outputs of models, process groups, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prune_kit.epoch_record import EpochRecord
from prune_kit.recorder import Pass
from prune_kit.recorder import ScoreRecorder as CoreRecorder

from .batches import logits_of
from .process_group import ProcessGroup

__all__ = ["EpochRecord", "ScoreRecorder"]


class ScoreRecorder(CoreRecorder):
    """Records scores inside a training loop: `update` after each batch, `end_epoch` after each epoch.

    Nothing waits for a GPU at a step; the computation graph is not held. Where torch.distributed is
    initialised, the rows of all processes are put together, each example once, however the sampler pads,
    and process 0 writes.

    Parameters
    ----------
    run, examples, seed, scores, taken, described, overwrite
        As for `prune_kit.ScoreRecorder`. With `with_ids`, `examples` is the length of the data set.

    Raises
    ------
    PruneKitError
        If an argument is not as described there.

    Examples
    --------
    >>> import torch
    >>> from prune_kit_torch import with_ids
    >>> data = torch.utils.data.TensorDataset(torch.eye(4), torch.tensor([0, 1, 0, 1]))
    >>> loader = torch.utils.data.DataLoader(data, batch_size=2, shuffle=True)
    >>> model = torch.nn.Linear(4, 2)
    >>> recorder = ScoreRecorder(None, len(data))
    >>> for ids, (inputs, labels) in with_ids(loader):
    ...     recorder.update(ids, model(inputs), labels)
    >>> list(recorder.end_epoch().table)
    ['predicted', 'p_label', 'el2n', 'logit_margin']
    """

    def __init__(
        self,
        run: str | Path | None,
        examples: int | Sequence[Any] | Tensor,
        /,
        *,
        seed: int = 0,
        scores: Sequence[str] = ("el2n", "logit_margin"),
        taken: Pass = "training",
        described: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        super().__init__(
            run,
            examples,
            seed=seed,
            scores=scores,
            taken=taken,
            described=described,
            overwrite=overwrite,
            peers=ProcessGroup(),
            framework="torch",
        )

    def update(self, ids: object, outputs: object, labels: object, /) -> None:
        """Record a batch.

        Parameters
        ----------
        ids
            Whose rows these are, shape (b,).
        outputs
            Logits (b, c), or what the model gives: with `.logits`, with "logits", or a tuple that begins
            with them.
        labels
            Classes, (b,), or soft labels, (b, c).

        Raises
        ------
        PruneKitError, RunConflictError
            As for `prune_kit.ScoreRecorder.update`.
        """
        super().update(ids, logits_of(outputs), labels)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint must hold to go on, as tensors and plain values.

        It can be loaded with ``torch.load(..., weights_only=True)``. In training with several processes,
        each has its own.
        """
        state = super().state_dict()
        return {**state, "rows": {name: torch.from_numpy(column) for name, column in state["rows"].items()}}
