"""A model that is ready to score: where its logits are, what they are, and what goes into it."""

from __future__ import annotations

import warnings

import numpy as np

from prune_kit.arrays import NumpyArray
from prune_kit.errors import PruneKitError

from .feeding import Feeding
from .graph import Graph, LastLayer
from .last_layer import check_last_layer
from .opening import OnnxModel, Opener
from .options import ModelOptions
from .providers import device_of
from .running import Runner
from .signature import fixed_batch, inputs_of, logits_output
from .sources import Inputs
from .standardise import Standardise

_NOT_OF_ONE_CLASS = ("Sigmoid", "HardSigmoid")


class Model:
    """A session and how to read it.

    Parameters
    ----------
    given
        A path, bytes, an onnx.ModelProto or an InferenceSession.
    options
        What the user said of it.
    device
        As for `predict`.
    features
        Whether the inputs of the last linear layer are wanted too.

    Attributes
    ----------
    name : str
        What to call it.
    device : str
        Where it runs.
    inputs : list of TensorSpec
        What it takes.
    standardise : Standardise or None
        What its input is made with.
    from_logits : bool or None
        Whether it gives logits (True) or probabilities; None until the first batch, where only numbers tell.

    Raises
    ------
    PruneKitError
        If it cannot be opened, its logits cannot be told, or there is no last linear layer.
    """

    def __init__(
        self, given: OnnxModel, options: ModelOptions, *, device: str | None, features: bool
    ) -> None:
        opener = Opener(given, device=device, threads=options.threads)
        session = opener.open()
        self.name = opener.name
        self.inputs = inputs_of(session, self.name)
        self._logits = logits_output(session, options.logits, self.name).name
        self.from_logits = options.from_logits
        self._is_softmax = False
        self._last_layer: LastLayer | None = None
        outputs = [self._logits]
        constants: list[str] = []
        if features or self.from_logits is None:
            self._read_graph(opener.graph(), features)
        if self._last_layer is not None:
            graph = opener.graph()
            assert graph is not None
            outputs.append(self._last_layer.features)
            constants = [each for each in self._last_layer[1:3] if each]
            session = opener.open_with_outputs(graph, [*outputs[1:], *constants])
        self.device = device_of(session)
        self._runner = Runner(session, outputs, constants, fixed_batch(self.inputs, self.name), self.name)
        self._layout = options.layout
        self.standardise: Standardise | None = None
        self._feeding = Feeding(self.inputs, None, options.layout)
        self._is_first = True

    @property
    def has_bias(self) -> bool:
        """Whether the last linear layer has a bias."""
        return self._last_layer is None or self._last_layer.bias is not None

    def standardise_by(self, standardise: Standardise | None) -> None:
        """Have inputs made with `standardise` from now on."""
        self.standardise = standardise
        self._feeding = Feeding(self.inputs, standardise, self._layout)

    def run(self, inputs: Inputs, n: int) -> tuple[NumpyArray, NumpyArray | None]:
        """Logits (n, c), or probabilities, and inputs (n, d) of the last layer where they are wanted.

        Raises
        ------
        PruneKitError
            If the model cannot take the inputs, or its last layer is not what it seemed.
        """
        logits, *features = self._runner.run(self._feeding(inputs), n)
        if self._is_first:
            self._is_first = False
            self._look_at(logits)
            if self._last_layer is not None:
                weight, *bias = self._runner.constants
                check_last_layer(
                    logits,
                    features[0],
                    weight.T if self._last_layer.is_transposed else weight,
                    bias[0] if bias else None,
                    is_softmax=self._is_softmax,
                    name=self.name,
                )
        return logits, features[0] if features else None

    def _read_graph(self, graph: Graph | None, features: bool) -> None:
        if graph is None:
            if features:
                raise PruneKitError(
                    f"the inputs of the last layer are found in the graph, which {self.name} does not give.",
                    hint="give the path, bytes or onnx.ModelProto that the session was made of",
                )
            return
        self._is_softmax = graph.is_softmax(self._logits)
        if self.from_logits is None and graph.ending(self._logits) in _NOT_OF_ONE_CLASS:
            raise PruneKitError(
                f"{self.name} ends in {graph.ending(self._logits)}, so that its outputs are neither logits "
                "nor probabilities of one class out of several.",
                hint="name the output before it (logits='...'), or say what it is with from_logits",
            )
        if self.from_logits is None and self._is_softmax:
            self.from_logits = False
            _say_probabilities("a model ends in Softmax")
        if features:
            self._last_layer = graph.last_layer(self._logits, self.name)

    def _look_at(self, logits: NumpyArray) -> None:
        """Tell logits from probabilities by their numbers, where nothing else did."""
        if self.from_logits is None:
            sums = logits.sum(axis=1, dtype=np.float64)
            self.from_logits = not (
                len(logits) > 1 and (logits >= 0).all() and (np.abs(sums - 1) < 1e-2).all()
            )
            if not self.from_logits:
                _say_probabilities("what a model gives is never negative and sums to 1")


def _say_probabilities(why: str) -> None:
    warnings.warn(
        f"{why}: its outputs are taken for probabilities. Of examples that the model is sure of they have "
        "lost digits; the output before Softmax has them. from_logits says what an output is.",
        UserWarning,
        stacklevel=2,  # one place, so that it is said once
    )
