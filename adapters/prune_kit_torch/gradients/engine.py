"""The engine that learns a model once and then measures batches."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from prune_kit.errors import PruneKitError

from .guard import left_as_it_was
from .inputs import Inputs, check_batch, check_logits, detached, examples, logits_for, unwrapped
from .layout import Unsupported
from .losses import Loss, cross_entropy, loss_gradients, scaled
from .measure import Measurement
from .parameters import last_parameters, trainable
from .plan import Plan, PlanChanged
from .probe import EXAMPLES, probe, probe_size
from .uncovered import reached
from .verify import agree, check_independent, sample
from .whole import one_by_one, vmapped
from .workspace import Workspace, default_limit

PerLayer = bool | Literal["parameter", "module"]


class GradientNorms:
    """Exact gradient norms of examples, batch after batch, for one model.

    What has to be found out about a model (where its parameters are used, where the batch lies, which
    formula is fastest for a shape, whether the result is right) is found out with the first batch. Weights
    may change between calls; the model's code may not.

    Parameters
    ----------
    model
        Any `torch.nn.Module` that gives logits, examples first. It is put into inference mode for the
        duration of a call and left as it was.
    loss
        `loss(logits, labels) -> (b,)`: each example's own loss. Never a mean: that scales with the batch.
    verify
        Compare three examples of the first batch with a backward pass for each of them alone.
    per_layer
        Norms by parameter (True or "parameter") or by module, in a dict by name, instead of over all.
    last_layer
        Only the parameters of the last operation that has any.
    allow_unused
        Accept trainable parameters that the loss does not depend on (their norm is 0).
    tune
        Time the formulas that fit a shape when it first occurs. Without, the one with the least arithmetic
        is taken: somewhat slower, but the same bits in every run.
    choices
        Formulas chosen by an earlier engine (its `choices`), to repeat its results to the last bit.
    workspace
        Bytes that temporaries may take at once, about. By default what fits the caches, or 256 MiB on an
        accelerator.
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        loss: Loss = cross_entropy,
        verify: bool = True,
        per_layer: PerLayer = False,
        last_layer: bool = False,
        allow_unused: bool = False,
        tune: bool = True,
        choices: Mapping[str, str] | None = None,
        workspace: int | None = None,
    ) -> None:
        if not isinstance(model, nn.Module):
            raise PruneKitError(f"`model` must be a torch.nn.Module; got {type(model).__name__}.")
        if per_layer not in (False, True, "parameter", "module"):
            raise PruneKitError(f'`per_layer` must be a bool, "parameter" or "module"; got {per_layer!r}.')
        self.model = unwrapped(model)
        self._loss, self._verify, self._per_layer = loss, verify, per_layer
        self._allow_unused, self._last_layer = allow_unused, last_layer
        self._named = trainable(self.model)
        self._frozen: list[Tensor] = []
        device = next(iter(self._named.values())).device
        self._workspace = Workspace(tune, workspace or default_limit(device), dict(choices or {}))
        self._plan: Plan | None = None
        self._planned_for = 0
        self._verified = not verify
        self._slow: str | None = None
        self._vmap = True

    @property
    def choices(self) -> dict[str, str]:
        """The formula taken for each shape so far."""
        return self._workspace.choices

    def __call__(self, inputs: Inputs, labels: Tensor, /) -> Tensor | dict[str, Tensor]:
        """Norms of a batch; see `gradient_norms`."""
        return self.with_logits(inputs, labels)[0]

    def with_logits(self, inputs: Inputs, labels: Tensor, /) -> tuple[Tensor | dict[str, Tensor], Tensor]:
        """Norms and the logits of the same forward pass."""
        batch = check_batch(inputs, labels)
        with torch.inference_mode(False), torch.enable_grad():
            inputs, labels = detached(inputs), detached(labels)
            if self._needs_plan(batch):
                with left_as_it_was(self.model, self._frozen):
                    self._prepare(inputs, labels, batch)
            with left_as_it_was(self.model, self._frozen):
                squared, scale, logits = self._measure(inputs, labels, batch)
                if not self._verified:
                    squared, scale, logits = self._check(inputs, labels, squared, scale, logits)
        return self._result(squared, scale), logits

    @property
    def _parameters(self) -> list[Tensor]:
        return list(self._named.values())

    def _needs_plan(self, batch: int) -> bool:
        return self._slow is None and (self._plan is None or self._planned_for < min(batch, EXAMPLES))

    def _prepare(self, inputs: Inputs, labels: Tensor, batch: int) -> None:
        """Make a plan, and say what stands in the way of one."""
        self._check_forward(inputs, labels, batch)
        self._replan(inputs, batch)
        if self._last_layer and self._plan is None:
            raise PruneKitError(
                f"the last layer cannot be found in this model: {self._slow}.",
                hint="requires_grad_(False) on all other parameters leaves them out",
            )
        if self._last_layer and not self._frozen and self._plan is not None:
            last = last_parameters(self._plan)
            keep = {name: p for i, (name, p) in enumerate(self._named.items()) if i in last}
            self._frozen = [p for i, p in enumerate(self._parameters) if i not in last]
            self._named = keep
            for p in self._frozen:
                p.requires_grad_(False)
            try:
                self._replan(inputs, batch)
            finally:
                for p in self._frozen:
                    p.requires_grad_(True)
        plan = self._plan
        if plan is not None and plan.unused and not self._allow_unused:
            names = [list(self._named)[i] for i in plan.unused]
            raise PruneKitError(
                f"every trainable parameter must take part in the loss; these do not: {', '.join(names[:8])}"
                f"{' ...' if len(names) > 8 else ''}.",
                hint="requires_grad_(False) leaves them out, allow_unused=True counts them as 0",
            )
        if plan is not None and plan.slow:
            warnings.warn(
                f"gradient_norms has no rule for {', '.join(plan.slow)}: parameters used there cost a "
                "backward pass of that operation per example, which is slow; the result is exact.",
                UserWarning,
                stacklevel=4,
            )

    def _check_forward(self, inputs: Inputs, labels: Tensor, batch: int) -> None:
        index = torch.arange(min(batch, EXAMPLES))
        picked, own = examples(inputs, batch, index), labels[index.to(labels.device)]
        together = logits_for(self.model, picked).detach()
        check_logits(together, len(index))
        try:
            apart = torch.cat(
                [logits_for(self.model, examples(picked, len(index), i[None])).detach() for i in index]
            )
        except (RuntimeError, ValueError) as error:
            raise PruneKitError(
                f"the model must run on a batch of one example: that defines its gradient. It says: {error}",
                hint="a BatchNorm that uses the batch's statistics cannot",
            ) from error
        check_independent(together, apart, "logits")
        losses, _ = loss_gradients(self._loss, together, own)
        alone = [
            loss_gradients(self._loss, together[i : i + 1], own[i : i + 1])[0] for i in range(len(index))
        ]
        check_independent(losses, torch.cat(alone), "loss")

    def _replan(self, inputs: Inputs, batch: int) -> None:
        size = probe_size(self._parameters)
        few = examples(inputs, batch, torch.arange(size) % min(batch, EXAMPLES))
        self._planned_for = min(batch, EXAMPLES)

        def run() -> Tensor:
            logits = logits_for(self.model, few)
            self._refuse_hidden(logits)
            return logits

        try:
            self._plan = probe(run, self._parameters, size)
        except Unsupported as reason:
            self._fall_back(str(reason))

    def _refuse_hidden(self, logits: Tensor) -> None:
        if reached(logits, self._parameters):
            raise Unsupported(
                "a parameter is used out of sight (TorchScript, or an autograd function of its own)"
            )

    def _measure(self, inputs: Inputs, labels: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        """Squared norms (batch, parameters) up to a scale (batch,), that scale, and the logits."""
        for attempt in range(2):
            if self._slow is not None or self._plan is None:
                break
            measurement = Measurement(self._parameters, self._plan, self._workspace, batch)

            def check(logits: Tensor) -> None:
                check_logits(logits, batch)
                self._refuse_hidden(logits)

            try:
                by_parameter, scale, logits = measurement.run(
                    lambda: logits_for(self.model, inputs), check, self._loss, labels
                )
                if any(p.grad is not None for p in self._parameters):
                    raise Unsupported("a parameter is used out of sight in a checkpointed part")
            except PlanChanged:
                if attempt == 0:
                    self._replan(inputs, batch)
                else:
                    self._fall_back("its operations change from batch to batch")
            except Unsupported as reason:
                self._fall_back(str(reason))
            else:
                zero = torch.zeros_like(scale)
                columns = [by_parameter.get(i, zero).to(scale) for i in range(len(self._named))]
                return torch.stack(columns, 1), scale, logits
        return self._measure_whole(inputs, labels, batch)

    def _fall_back(self, reason: str) -> None:
        self._slow = reason
        for p in self._parameters:
            p.grad = None
        warnings.warn(
            f"gradient_norms takes the gradient of the whole model for each example, which is slow: {reason}."
            " The result is exact.",
            UserWarning,
            stacklevel=5,
        )

    def _measure_whole(self, inputs: Inputs, labels: Tensor, batch: int) -> tuple[Tensor, Tensor, Tensor]:
        if self._vmap:
            logits = logits_for(self.model, inputs).detach()
            check_logits(logits, batch)
            cotangent, scale = scaled(loss_gradients(self._loss, logits, labels)[1])
            try:
                squared = vmapped(
                    self.model,
                    list(self._named),
                    inputs,
                    cotangent.to(logits.dtype),
                    16 * self._workspace.limit,
                )
            except (RuntimeError, ValueError, TypeError, NotImplementedError):
                self._vmap = False  # what vmap cannot follow is as exact one by one
            else:
                return squared.to(scale), scale, logits
        squared, _, logits = one_by_one(
            self.model, self._parameters, inputs, labels, self._loss, torch.arange(batch)
        )
        check_logits(logits, batch)
        return torch.nan_to_num(squared), torch.ones_like(squared[:, 0]), logits

    def _check(
        self, inputs: Inputs, labels: Tensor, squared: Tensor, scale: Tensor, logits: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Compare with the definition; what is wrong is replaced by what is slow."""
        index = sample(len(labels))
        reference, _, apart = one_by_one(self.model, self._parameters, inputs, labels, self._loss, index)
        at = index.to(logits.device)
        check_independent(logits[at], apart, "logits")
        while not agree(squared[at] * scale[at, None] ** 2, reference, logits.dtype):
            if self._slow is None:
                self._fall_back("its norms differ from those of a backward pass for each example")
            elif self._vmap:
                self._vmap = False
            else:
                raise PruneKitError(
                    "the model gives other gradients when it is called a second time with the same example.",
                    hint="randomness that ignores eval() does this",
                )
            squared, scale, logits = self._measure(inputs, labels, len(labels))
        self._verified = True
        return squared, scale, logits

    def _result(self, squared: Tensor, scale: Tensor) -> Tensor | dict[str, Tensor]:
        dtype = torch.float64 if self._parameters[0].dtype == torch.float64 else torch.float32
        if not self._per_layer:
            return (squared.sum(1).sqrt() * scale).to(dtype)
        columns: dict[str, Tensor] = {}
        for i, name in enumerate(self._named):
            key = name.rpartition(".")[0] if self._per_layer == "module" else name
            columns[key] = columns[key] + squared[:, i] if key in columns else squared[:, i]
        return {name: (column.sqrt() * scale).to(dtype) for name, column in columns.items()}
