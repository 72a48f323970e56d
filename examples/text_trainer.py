"""Text, end to end, with the Hugging Face Trainer: which library documents itself with this sentence.

The sentences are real: the docstrings of NumPy, SciPy, scikit-learn and PyTorch as they are installed here,
with the names of the libraries masked. A tokenizer is trained on them, and a small BERT, made from a
configuration, learns to tell them apart, while one line of the kit's records EL2N and forgetting of every
sentence. Then new networks are trained, for as many steps, on the hardest half, on a window below the very
hardest, and on a random half: on data as hard as this, the hardest half alone is a bad choice.

    pip install "prune-kit[huggingface]"
    python examples/text_trainer.py                # about eight minutes on two cores
    python examples/text_trainer.py --quick
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # nothing is downloaded

import numpy as np
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    PrinterCallback,
    Trainer,
    TrainingArguments,
)
from transformers.utils import logging

import prune_kit as pk
import prune_kit_torch as pkt
from prune_kit_torch.huggingface import ScoreCallback  # the kit

LIBRARIES = ("numpy", "scipy", "sklearn", "torch")
MODULES = {
    "numpy": " linalg fft random ma char polynomial.polynomial",
    "scipy": "stats signal optimize sparse ndimage interpolate linalg spatial integrate",
    "sklearn": "linear_model cluster metrics preprocessing ensemble decomposition svm neighbors tree "
    "manifold mixture model_selection feature_selection gaussian_process pipeline compose impute inspection",
    "torch": " nn nn.functional nn.init nn.utils optim optim.lr_scheduler distributions utils.data linalg "
    "fft special autograd cuda distributed",
}
_NAMES = re.compile(r"\b(numpy|np|scipy|sklearn|scikit|pytorch|torch|tensors?|estimators?)\b", re.IGNORECASE)


class Sentences(torch.utils.data.Dataset[dict[str, Any]]):
    """Tokenised sentences and the libraries that they come from."""

    def __init__(
        self, texts: Sequence[str], labels: Sequence[int], tokenizer: PreTrainedTokenizerFast
    ) -> None:
        self.texts, self.labels = list(texts), list(labels)
        self._tokens = tokenizer(self.texts, truncation=True, max_length=48)["input_ids"]

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, position: int) -> dict[str, Any]:
        return {"input_ids": self._tokens[position], "labels": self.labels[position]}


def sentences(library: str) -> Iterator[str]:
    """The sentences of a library's docstrings that are prose."""
    for name in MODULES[library].split(" "):
        module = importlib.import_module(f"{library}.{name}" if name else library)
        for attribute in sorted(name for name in dir(module) if not name.startswith("_")):
            thing = getattr(module, attribute)
            if not callable(thing) or not str(getattr(thing, "__module__", "")).startswith(library):
                continue
            for paragraph in re.split(r"\n\s*\n", inspect.getdoc(thing) or ""):
                if re.search(r">>>|^\s*[-=~.:*|]|::|\s:\s|\.\. ", paragraph, re.MULTILINE):
                    continue  # code, lists, headings, parameters
                for sentence in re.split(r"(?<=[.!?])\s+(?=[A-Z])", " ".join(paragraph.split())):
                    if 8 <= len(sentence.split()) <= 40 and sentence.endswith(".") and ":" not in sentence:
                        yield _NAMES.sub("_", sentence)


def corpus(per_library: int) -> tuple[list[str], list[int]]:
    """The same number of sentences of each library, each once, in an order drawn once."""
    texts, labels, rng = [], [], np.random.default_rng(0)
    for label, library in enumerate(LIBRARIES):
        own = list(dict.fromkeys(sentences(library)))
        chosen = [own[i] for i in rng.permutation(len(own))[:per_library]]
        texts += chosen
        labels += [label] * len(chosen)
    order = rng.permutation(len(texts)).tolist()
    return [texts[i] for i in order], [labels[i] for i in order]


def trained_tokenizer(texts: Sequence[str]) -> PreTrainedTokenizerFast:
    """A byte-pair tokenizer of these texts."""
    tokenizer = Tokenizer(models.BPE(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    special = ["[PAD]", "[UNK]"]
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=3000, special_tokens=special))
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def make_trainer(
    train: torch.utils.data.Dataset[Any],
    test: Sentences,
    tokenizer: PreTrainedTokenizerFast,
    seed: int,
    steps: int,
) -> Trainer:
    """A Trainer of a small BERT with new weights."""
    torch.manual_seed(seed)
    shape: dict[str, Any] = {
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 64,
        "num_labels": len(LIBRARIES),
        "pad_token_id": tokenizer.pad_token_id,
    }
    arguments = TrainingArguments(
        output_dir=tempfile.gettempdir(),
        max_steps=steps,
        per_device_train_batch_size=32,
        per_device_eval_batch_size=256,
        learning_rate=2e-3,
        warmup_steps=20,
        seed=seed,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
        logging_strategy="no",
    )
    trainer = Trainer(
        BertForSequenceClassification(BertConfig(**shape)),
        arguments,
        train_dataset=train,
        eval_dataset=test,
        data_collator=DataCollatorWithPadding(tokenizer),
        compute_metrics=lambda given: {
            "accuracy": np.mean(np.argmax(given.predictions, 1) == given.label_ids)
        },
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def accuracy(trainer: Trainer) -> float:
    """Accuracy on the test sentences after training."""
    trainer.train()
    return float(trainer.evaluate()["eval_accuracy"])


def show(title: str, data: Sentences, table: pk.ScoreTable, positions: Sequence[int]) -> None:
    """Print some sentences with what is known of them."""
    print(f"\n{title}")
    for i in positions:
        given, said = LIBRARIES[data.labels[i]], LIBRARIES[int(table["predicted"][i])]
        wrong = "" if given == said else f", taken for {said}"
        print(f"  {table['score'][i]:.3f}  [{given}{wrong}] {data.texts[i][:90]}")


def main() -> None:
    """Record, show, prune, train again."""
    parser = argparse.ArgumentParser(description="EL2N and forgetting of sentences through the Trainer.")
    parser.add_argument("--quick", action="store_true", help="fewer sentences, one seed, few epochs")
    parser.add_argument("--run", type=Path, help="the run directory [default: runs/text-N]")
    options = parser.parse_args()
    logging.set_verbosity_error()
    warnings.filterwarnings("ignore", module="torch|transformers|accelerate")
    each, held_out, epochs, seeds = (100, 40, 2, 1) if options.quick else (900, 200, 6, 3)

    texts, labels = corpus(each + held_out)
    n = each * len(LIBRARIES)
    directory = options.run or Path(f"runs/text-{n}")
    tokenizer = trained_tokenizer(texts[:n])
    train, test = (Sentences(texts[part], labels[part], tokenizer) for part in (slice(n), slice(n, None)))
    steps = epochs * -(-n // 32)
    print(f"{len(train):,} sentences of {', '.join(LIBRARIES)} to train on, {len(test):,} to test")

    whole = []
    for seed in range(seeds):
        trainer = make_trainer(train, test, tokenizer, seed, steps)
        trainer.add_callback(ScoreCallback(trainer, directory, overwrite=True))  # the kit
        whole.append(accuracy(trainer))
    run = pk.Run.open(directory)
    el2n, forgetting = (pk.aggregate_run(run, score=score) for score in ("mean_el2n", "forgetting"))

    order = np.argsort(el2n["score"], kind="stable").tolist()
    show("easiest by mean EL2N over the epochs", train, el2n, order[:4])
    show("hardest", train, el2n, order[::-1][:6])
    never = np.isinf(forgetting["score"])
    forgotten = int((forgetting["score"] > 0).sum() - never.sum())
    print(f"\nforgotten at least once: {forgotten}; never learned by at least one seed: {int(never.sum())}")

    kept: dict[str, Callable[[int], Any]] = {
        "hardest half by EL2N": lambda seed: pk.keep_hardest(el2n["score"], fraction=0.5),
        "half below the hardest 30%": lambda seed: pk.keep_window(el2n["score"], offset=0.2, fraction=0.5),
        "random half": lambda seed: pk.keep_random(len(train), fraction=0.5, seed=seed),
    }
    print(f"\naccuracy on the test sentences after {steps} steps, mean of {seeds} trainings")
    print(f"  {'all':29} {len(train):5}   {np.mean(whole):.3f}")
    for name, choose in kept.items():
        halves = [
            accuracy(make_trainer(pkt.subset(train, choose(seed)), test, tokenizer, seed, steps))
            for seed in range(seeds)
        ]
        print(f"  {name:29} {len(choose(0)):5}   {np.mean(halves):.3f}")


if __name__ == "__main__":
    main()
