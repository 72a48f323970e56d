"""What a model was trained for: which scores that defines, and the shapes of its outputs and labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from .arrays import Array, as_array, dtype_name
from .checks import check_labels, check_logits, check_sizes, is_number
from .errors import PruneKitError

Task: TypeAlias = Literal["multiclass", "multilabel", "regression"]
"""One class per example (softmax), any number of labels per example (sigmoids), or real targets."""

DEFINED = {
    "multilabel": (
        "el2n",
        "error_l1",
        "margin",
        "logit_margin",
        "cross_entropy",
        "entropy",
        "grand_last_layer",
    ),
    "regression": ("el2n", "error_l1", "grand_last_layer"),
}
"""The scores of tasks that do not have all of them."""


def check_task(task: str, scores: Sequence[str], *, from_logits: bool) -> None:
    """Refuse a task that is not known, and scores or options that it does not define."""
    if task not in get_args(Task):
        raise PruneKitError(
            f'`task` must be "multiclass", "multilabel" or "regression"; got {task!r}.',
            hint='"multilabel" is for sigmoid outputs, "regression" for real targets',
        )
    if "logit_margin" in scores and not from_logits:
        raise PruneKitError(
            'the score "logit_margin" needs logits; got from_logits=False.',
            hint='"margin" is the one of probabilities',
        )
    if task == "multiclass":
        return
    undefined = [name for name in scores if name not in DEFINED[task]]
    if undefined:
        raise PruneKitError(
            f'with task="{task}", scores must be among {", ".join(DEFINED[task])}; '
            f"got {', '.join(map(repr, undefined))}.",
            hint="the others need one class per example, or a predicted distribution",
        )
    if task == "regression" and not from_logits:
        raise PruneKitError(
            'with task="regression", `from_logits` must be left out; got from_logits=False.',
            hint="predictions are compared with targets as they are",
        )


def check_input(logits: object, labels: object, *, task: str = "multiclass") -> tuple[Array, Array | None]:
    """Outputs as an array (n, c) and labels that fit them, None where none are given; values are not read."""
    if task == "multiclass":
        values = check_logits(logits)
        return values, None if labels is None else check_labels(labels, tuple(values.shape))
    outputs: Array = as_array(logits, "logits")
    check_sizes(outputs, "logits")
    shapes = "(n, c)" if task == "multilabel" else "(n,) or (n, d)"
    if outputs.ndim != 2 and (task == "multilabel" or outputs.ndim != 1):
        raise PruneKitError(
            f'with task="{task}", `logits` must have shape {shapes}; got {tuple(outputs.shape)}.',
            hint="give a row per example, for example logits.reshape(len(logits), -1)",
        )
    if not is_number(outputs):
        raise PruneKitError(
            f"`logits` must be real numbers; got {dtype_name(outputs)}.",
            hint="give the model's outputs as floats",
        )
    if 0 in outputs.shape:
        raise PruneKitError(
            f"`logits` must not be empty; got shape {tuple(outputs.shape)}.", hint="give at least one example"
        )
    targets = None if labels is None else _targets(labels, tuple(outputs.shape), task)
    if outputs.ndim == 1:
        return outputs[:, None], None if targets is None else targets[:, None]
    return outputs, targets


def _targets(labels: object, shape: tuple[int, ...], task: str) -> Array:
    targets: Array = as_array(labels, "labels")
    check_sizes(targets, "labels")
    if tuple(targets.shape) != shape:
        hint = f"labels.reshape({shape})"
        if targets.shape[0] != shape[0] or targets.ndim == len(shape):
            hint = "each output needs a label of its own"
        elif task == "multilabel":
            hint = "one class per example is the default task; np.eye(c)[labels] are its rows"
        raise PruneKitError(
            f'with task="{task}", `labels` must have the shape of `logits`, {shape}; '
            f"got {tuple(targets.shape)}.",
            hint=hint,
        )
    if not is_number(targets) and not (task == "multilabel" and dtype_name(targets) == "bool"):
        raise PruneKitError(
            f'with task="{task}", `labels` must be numbers; got {dtype_name(targets)}.',
            hint="give 0 or 1 for each label" if task == "multilabel" else "give the targets as floats",
        )
    return targets
