"""Each example's tokens say which one it is: the record is compared with what the model itself was shown."""

import subprocess
import sys
import warnings
from pathlib import Path

import datasets
import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, models
from torch.utils.data import DataLoader, Dataset
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertForTokenClassification,
    DataCollatorWithPadding,
    PreTrainedTokenizerFast,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from prune_kit import Run
from prune_kit.errors import MissingExtraError, PruneKitError, RunConflictError, StoreError
from prune_kit_torch.huggingface import ScoreCallback

N, CLASSES, WORDS, SEED = 43, 3, 60, 7


def contents():
    """Texts of 3 to 9 tokens; the first is the example's position, counted from WORDS on."""
    generator = np.random.default_rng(0)
    texts = [[WORDS + i, *generator.integers(1, WORDS, 2 + i % 7).tolist()] for i in range(N)]
    return texts, [(text[1] + text[2]) % CLASSES for text in texts]


def tokenizer():
    words = {"[PAD]": 0, **{str(i): i for i in range(1, WORDS + N)}}
    return PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel(words, unk_token="[PAD]")), pad_token="[PAD]"
    )


class Examples(Dataset):
    """A torch Dataset of dicts of equal length, with entries that the model does not know."""

    def __init__(self):
        texts, self.labels = contents()
        self.texts = [text + [0] * (9 - len(text)) for text in texts]

    def __len__(self):
        return N

    def __getitem__(self, position):
        return {
            "input_ids": self.texts[position],
            "label": self.labels[position],
            "id": f"name {position}",
            "example_id": -position,
        }


def table(columns=("id", "example_id", "text")):
    texts, labels = contents()
    others = {"id": [f"name {i}" for i in range(N)], "example_id": [0] * N, "text": ["a"] * N}
    return datasets.Dataset.from_dict(
        {"input_ids": texts, "labels": labels, **{name: others[name] for name in columns}}
    )


def padded(features):
    """A data collator as people write them: a function that takes what it knows."""
    width = max(len(feature["input_ids"]) for feature in features)
    rows = [list(feature["input_ids"]) + [0] * (width - len(feature["input_ids"])) for feature in features]
    labels = [feature["labels" if "labels" in feature else "label"] for feature in features]
    return {"input_ids": torch.tensor(rows), "labels": torch.tensor(labels)}


def classifier(kind=BertForSequenceClassification, **options):
    torch.manual_seed(SEED)
    return kind(
        BertConfig(
            vocab_size=WORDS + N,
            hidden_size=32,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=64,
            max_position_embeddings=16,
            num_labels=CLASSES,
            **options,
        )
    )


def trainer(folder, kind=Trainer, model=None, data=None, collator=padded, **options):
    by_argument = {
        name: options.pop(name) for name in ("compute_loss_func", "eval_dataset") if name in options
    }
    arguments = TrainingArguments(
        str(folder / "out"),
        **{
            "per_device_train_batch_size": 8,
            "num_train_epochs": 3,
            "learning_rate": 3e-3,
            "seed": SEED,
            "use_cpu": True,
            "report_to": "none",
            "disable_tqdm": True,
            "save_strategy": "no",
            **options,
        },
    )
    return kind(
        classifier() if model is None else model,
        arguments,
        data_collator=collator,
        train_dataset=Examples() if data is None else data,
        **by_argument,
    )


def listen(model):
    """The logits of each forward pass in train mode, by the example that its tokens name."""
    passes = []

    def hear(module, args, kwargs, output):
        if module.training:
            logits = output["logits"] if isinstance(output, dict) else output[-1]
            positions = (kwargs["input_ids"][:, 0] - WORDS).tolist()
            passes.append(dict(zip(positions, logits.detach().double().numpy(), strict=True)))

    model.register_forward_hook(hear, with_kwargs=True)
    return passes


def train_recorded(made, run, **options):
    made.add_callback(ScoreCallback(made, run, **options))
    made.train()
    return Run.open(run)


def check_against(passes, run, epochs=3):
    """EL2N by its definition, from the logits that were heard, epoch by epoch."""
    labels = np.array(contents()[1])
    heard = [item for batch in passes for item in batch.items()]
    assert len(heard) == epochs * N
    assert run.parts() == [(SEED, epoch) for epoch in range(1, epochs + 1)]
    for epoch in range(1, epochs + 1):
        logits_of = dict(heard[(epoch - 1) * N : epoch * N])
        logits = np.stack([logits_of[i] for i in range(N)])
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        part = run.read_part(SEED, epoch)
        np.testing.assert_array_equal(part.ids, np.arange(N))
        np.testing.assert_array_equal(part.labels, labels)
        np.testing.assert_array_equal(part["predicted"], logits.argmax(axis=1))
        np.testing.assert_allclose(
            part["el2n"], np.linalg.norm(p - np.eye(CLASSES)[labels], axis=1), rtol=1e-5
        )


def same_parts(run, expected):
    assert run.parts() == expected.parts()
    for seed, epoch in expected.parts():
        left, right = run.read_part(seed, epoch), expected.read_part(seed, epoch)
        assert list(left) == list(right)
        for name in left:
            assert left[name].tobytes() == right[name].tobytes(), (epoch, name)


class Weighted(Trainer):
    """A Trainer as people override it: a loss of their own, outputs where they are asked for."""

    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        loss = torch.nn.functional.cross_entropy(outputs.logits, labels, torch.tensor([1.0, 2.0, 3.0]))
        return (loss, outputs) if return_outputs else loss


def smooth(outputs, labels, num_items_in_batch=None):
    return torch.nn.functional.cross_entropy(outputs["logits"], labels, label_smoothing=0.2)


@pytest.mark.parametrize(
    ("data", "collator"),
    [
        (Examples, None),
        (Examples, padded),
        (table, padded),
        (table, DataCollatorWithPadding(tokenizer())),
    ],
    ids=["torch, default collator", "torch, function", "datasets, function", "datasets, padding collator"],
)
def test_recorded_el2n_is_that_of_the_logits_of_each_step(tmp_path, data, collator):
    made = trainer(tmp_path, data=data(), collator=collator)
    passes = listen(made.model)
    check_against(passes, train_recorded(made, tmp_path / "run"))


@pytest.mark.parametrize(
    "options",
    [
        {"gradient_accumulation_steps": 4},
        {"label_smoothing_factor": 0.1},
        {"compute_loss_func": smooth},
        {"kind": Weighted},
        {"data": table(columns=()), "remove_unused_columns": False},
        {"dataloader_num_workers": 2},
        {"train_sampling_strategy": "group_by_length"},
        {"train_sampling_strategy": "batch_rebalance"},
        {"train_sampling_strategy": "sequential"},
        {"accelerator_config": {"dispatch_batches": True}},
        {"accelerator_config": {"use_seedable_sampler": False}},
        {"eval_strategy": "steps", "eval_steps": 2, "eval_dataset": table(), "eval_on_start": True},
        {"activation_checkpointing": True},
    ],
    ids=", ".join,
)
def test_trainer_may_be_set_up_in_any_way(tmp_path, options):
    made = trainer(tmp_path, **options)
    passes = listen(made.model)
    run = train_recorded(made, tmp_path / "run")
    if "activation_checkpointing" in options:  # the second forward pass is of the layers, not of the model
        assert len(passes) == 3 * 6
    check_against(passes, run)


def test_model_that_gives_tuples(tmp_path):
    made = trainer(tmp_path, model=classifier(return_dict=False))
    passes = listen(made.model)
    check_against(passes, train_recorded(made, tmp_path / "run"))


def test_compiled_model_gives_the_same_scores(tmp_path):
    made = trainer(tmp_path, torch_compile=True, torch_compile_backend="eager")
    run = train_recorded(made, tmp_path / "run")
    same_parts(run, train_recorded(trainer(tmp_path), tmp_path / "eager"))


def test_bfloat16_is_scored_as_the_loss_saw_it(tmp_path):
    made = trainer(tmp_path, bf16=True, num_train_epochs=1)
    run = train_recorded(made, tmp_path / "run")
    plain = train_recorded(trainer(tmp_path, num_train_epochs=1), tmp_path / "plain")
    scores, others = run.read_part(SEED, 1)["el2n"], plain.read_part(SEED, 1)["el2n"]
    assert not np.array_equal(scores, others)
    np.testing.assert_allclose(scores, others, atol=0.02)


@pytest.mark.parametrize("data", [Examples, table])
def test_training_and_evaluation_are_those_without_the_callback_bit_for_bit(tmp_path, data):
    def weights_and_metrics(recorded):
        made = trainer(
            tmp_path, data=data(), eval_dataset=table(), eval_strategy="epoch", gradient_accumulation_steps=2
        )
        made.compute_metrics = lambda found: {
            "accuracy": (found.predictions.argmax(1) == found.label_ids).mean()
        }
        if recorded:
            made.add_callback(ScoreCallback(made, tmp_path / "run"))
        made.train()
        predicted = made.predict(made.train_dataset)
        metrics = [
            {name: value for name, value in entry.items() if "second" not in name and "runtime" not in name}
            for entry in made.state.log_history
        ]
        return [p.detach() for p in made.model.parameters()], predicted.predictions, metrics

    weights, predictions, metrics = weights_and_metrics(recorded=True)
    expected, expected_predictions, expected_metrics = weights_and_metrics(recorded=False)
    assert all(torch.equal(left, right) for left, right in zip(weights, expected, strict=True))
    np.testing.assert_array_equal(predictions, expected_predictions)
    assert metrics == expected_metrics
    assert len(metrics) > 3
    assert len(Run.open(tmp_path / "run").parts()) == 3


def test_trainer_and_data_are_found_again_as_they_were(tmp_path):
    plain = trainer(tmp_path)
    plain.train()
    data = table()
    made = trainer(tmp_path, data=data)
    columns, forward = list(data.column_names), made.model.forward
    train_recorded(made, tmp_path / "run")
    assert set(vars(made)) == {*vars(plain), "train"}
    assert set(vars(made.accelerator)) == set(vars(plain.accelerator))
    assert made.train_dataset is data
    assert data.column_names == columns
    assert made.model.forward == forward
    assert set(next(iter(made.get_train_dataloader()))) == {"input_ids", "labels"}


def test_trainer_is_found_again_as_it_was_after_an_error(tmp_path):
    class Fails(TrainerCallback):
        def on_step_end(self, *args, **kwargs):
            raise KeyError("of the user's own")

    made = trainer(tmp_path)
    made.add_callback(ScoreCallback(made, tmp_path / "run"))
    made.add_callback(Fails)
    with pytest.raises(KeyError, match="of the user's own"):
        made.train()
    assert not {"get_train_dataloader", "training_step", "compute_loss"} & set(vars(made))
    assert "prepare_data_loader" not in vars(made.accelerator)


def test_callback_that_was_taken_out_records_nothing(tmp_path):
    made = trainer(tmp_path)
    made.add_callback(ScoreCallback(made, tmp_path / "run"))
    made.remove_callback(ScoreCallback)
    made.train()
    assert not (tmp_path / "run").exists()


def test_options_reach_the_run(tmp_path):
    made = trainer(tmp_path, num_train_epochs=1)
    run = train_recorded(
        made, tmp_path / "run", seed=3, scores=("el2n", "entropy"), described={"model_name": "tiny"}
    )
    assert run.parts() == [(3, 1)]
    assert run.config["model_name"] == "tiny"
    assert run.config["pass"] == "training"
    assert {"el2n", "entropy"} <= set(run.read_part(3, 1))


def test_several_seeds_share_a_run(tmp_path):
    for seed in (1, 2):
        made = trainer(tmp_path, seed=seed, num_train_epochs=1)
        run = train_recorded(made, tmp_path / "run")
    assert run.parts() == [(1, 1), (2, 1)]


def test_without_a_run_the_last_record_is_kept(tmp_path):
    made = trainer(tmp_path, num_train_epochs=2)
    callback = ScoreCallback(made, None)
    made.add_callback(callback)
    assert callback.record is None
    made.train()
    assert callback.record.epoch == 2
    assert len(callback.record.table.ids) == N


def test_training_again_does_not_write_over_what_is_there(tmp_path):
    made = trainer(tmp_path, num_train_epochs=1)
    train_recorded(made, tmp_path / "run")
    with pytest.raises(RunConflictError, match="holds scores of seed 7 already"):
        made.train()
    again = trainer(tmp_path, num_train_epochs=2)
    assert len(train_recorded(again, tmp_path / "run", overwrite=True).parts()) == 2


def test_epoch_that_training_stops_in_is_left_out(tmp_path):
    made = trainer(tmp_path, max_steps=9)
    with pytest.warns(UserWarning, match="training stopped inside epoch 2, at step 9"):
        run = train_recorded(made, tmp_path / "run")
    assert run.parts() == [(SEED, 1)]


def test_examples_that_the_loader_drops_are_told(tmp_path):
    made = trainer(tmp_path, dataloader_drop_last=True, num_train_epochs=1)
    with pytest.warns(UserWarning, match="3 of 43 examples were not presented in epoch 1"):
        run = train_recorded(made, tmp_path / "run")
    assert len(run.read_part(SEED, 1).ids) == 40


def test_smaller_batches_after_running_out_of_memory(tmp_path):
    class RunsOut(Trainer):
        def training_step(self, model, inputs, *args, **kwargs):
            if len(inputs["labels"]) == 8 and self.state.epoch and self.state.epoch > 1:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return super().training_step(model, inputs, *args, **kwargs)

    made = trainer(tmp_path, RunsOut, auto_find_batch_size=True)
    passes = listen(made.model)
    run = train_recorded(made, tmp_path / "run")
    check_against(passes[7:], run)  # those before: an epoch and a step of larger batches


class StopsAt(TrainerCallback):
    """What a killed training leaves: checkpoints, and a run that is further than they are."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == self.step:
            raise KeyboardInterrupt


def interrupted(folder, run, stop, **options):
    made = trainer(folder, save_strategy="steps", **options)
    made.add_callback(ScoreCallback(made, run))
    made.add_callback(StopsAt(stop))
    with pytest.raises(KeyboardInterrupt):
        made.train()


def resumed(folder, run, checkpoint, callback=True, **options):
    made = trainer(folder, save_strategy="steps", **options)
    if callback:
        made.add_callback(ScoreCallback(made, run))
    made.train(resume_from_checkpoint=checkpoint)
    return made


@pytest.mark.parametrize(
    ("every", "stop", "options"),
    [
        (4, 6, {}),  # in the middle of the first epoch
        (8, 11, {}),  # in the middle of the second
        (4, 17, {"save_total_limit": 1}),
        (6, 8, {}),  # at the last step of an epoch, before the epoch has ended for the Trainer
        (2, 5, {"gradient_accumulation_steps": 4}),
        (8, 11, {"data": table(), "dataloader_num_workers": 1}),
    ],
    ids=["first epoch", "second epoch", "third epoch", "epoch's end", "accumulation", "datasets, worker"],
)
def test_resumed_training_ends_with_the_same_bytes(tmp_path, every, stop, options):
    interrupted(tmp_path, tmp_path / "run", stop, save_steps=every, **options)
    made = resumed(tmp_path, tmp_path / "run", True, save_steps=every, **options)
    whole = trainer(tmp_path / "whole", **{key: value for key, value in options.items() if "save" not in key})
    expected = train_recorded(whole, tmp_path / "expected")
    assert all(
        torch.equal(left, right)
        for left, right in zip(made.model.parameters(), whole.model.parameters(), strict=True)
    )
    same_parts(Run.open(tmp_path / "run"), expected)
    assert len(expected.parts()) == 3


def test_resuming_further_back_makes_later_parts_again(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 17, save_steps=4)
    assert Run.open(tmp_path / "run").parts() == [(SEED, 1), (SEED, 2)]
    resumed(tmp_path, tmp_path / "run", str(tmp_path / "out" / "checkpoint-4"), save_steps=4)
    expected = train_recorded(trainer(tmp_path / "whole"), tmp_path / "expected")
    same_parts(Run.open(tmp_path / "run"), expected)


@pytest.mark.parametrize(
    ("step", "message", "rows"),
    [
        (6, "begins with epoch 2.", 43),
        (8, "begins with epoch 2, and of that epoch the examples before step 8", 27),
    ],
)
@pytest.mark.filterwarnings("ignore:16 of 43 examples were not presented in epoch 2:UserWarning")
def test_checkpoint_of_a_training_that_was_not_recorded(tmp_path, step, message, rows):
    made = trainer(tmp_path, save_strategy="steps", save_steps=step)
    made.train()
    with pytest.warns(UserWarning, match=f"checkpoint-{step} holds no state of a recorder .* {message}"):
        resumed(tmp_path, tmp_path / "run", str(tmp_path / "out" / f"checkpoint-{step}"))
    run = Run.open(tmp_path / "run")
    assert run.parts() == [(SEED, 2), (SEED, 3)]
    assert len(run.read_part(SEED, 2).ids) == rows
    assert len(run.read_part(SEED, 3).ids) == N


@pytest.mark.filterwarnings("ignore:.*examples were not presented:UserWarning")
def test_lost_state_leaves_the_parts_before_it(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 17, save_steps=8)
    (tmp_path / "out" / "checkpoint-16" / "prune_kit_recorder-0.pt").unlink()
    first = (tmp_path / "run" / "scores" / f"seed={SEED}" / "epoch=1" / "part-0.parquet").read_bytes()
    with pytest.warns(UserWarning, match="begins with epoch 3"):
        resumed(tmp_path, tmp_path / "run", True)
    run = Run.open(tmp_path / "run")
    assert run.parts() == [(SEED, 1), (SEED, 2), (SEED, 3)]
    assert (run.path / "scores" / f"seed={SEED}" / "epoch=1" / "part-0.parquet").read_bytes() == first


def test_order_that_the_trainer_does_not_find_again_is_told(tmp_path):
    options = {"save_steps": 8, "accelerator_config": {"use_seedable_sampler": False}}
    interrupted(tmp_path, tmp_path / "run", 9, **options)
    with pytest.warns(UserWarning, match="examples were") as told:
        resumed(tmp_path, tmp_path / "run", True, **options)
    assert any("were not presented in epoch 2" in str(warning.message) for warning in told)
    assert any("were presented more than once in epoch 2" in str(warning.message) for warning in told)


@pytest.mark.filterwarnings("ignore:training stopped inside epoch 3, at step 18:UserWarning")
def test_epoch_begun_again_is_recorded_from_its_beginning(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 9, save_steps=8)
    resumed(tmp_path, tmp_path / "run", True, ignore_data_skip=True)
    assert len(Run.open(tmp_path / "run").read_part(SEED, 2).ids) == N


def test_damaged_state_is_told(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 9, save_steps=8)
    path = tmp_path / "out" / "checkpoint-8" / "prune_kit_recorder-0.pt"
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(StoreError, match="prune_kit_recorder-0.pt cannot be read"):
        resumed(tmp_path, tmp_path / "run", True)


def test_state_holds_nothing_that_must_be_unpickled(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 9, save_steps=8)
    path = tmp_path / "out" / "checkpoint-8" / "prune_kit_recorder-0.pt"
    assert torch.load(path, weights_only=True)["processes"] == 1


def test_state_of_another_data_set_is_refused(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 9, save_steps=8)
    made = trainer(tmp_path, data=torch.utils.data.Subset(Examples(), range(40)))
    made.add_callback(ScoreCallback(made, tmp_path / "run"))
    with pytest.raises(PruneKitError, match="the state is of another recorder"):
        made.train(resume_from_checkpoint=True)


def test_checkpoints_of_the_model_alone_hold_no_state(tmp_path):
    made = trainer(tmp_path, save_strategy="epoch", save_only_model=True, num_train_epochs=1)
    train_recorded(made, tmp_path / "run")
    assert not list((tmp_path / "out" / "checkpoint-6").glob("prune_kit*"))


class WithoutOutputs(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, **kwargs):
        return model(**inputs).loss


class OwnStep(Trainer):
    def training_step(self, model, inputs, num_items_in_batch=None):
        loss = model(**inputs).loss
        loss.backward()
        return loss.detach()


class OwnBatches(Trainer):
    def get_batch_samples(self, *args, **kwargs):
        batches, count = super().get_batch_samples(*args, **kwargs)
        return [{name: batch[name] for name in ("input_ids", "labels")} for batch in batches], count


class OwnLoader(Trainer):
    def get_train_dataloader(self):
        return DataLoader(self.train_dataset, batch_size=8, shuffle=True, collate_fn=padded)


class TwoLoaders(Trainer):
    def get_train_dataloader(self):
        super().get_train_dataloader()
        return super().get_train_dataloader()


class NoLoader(Trainer):
    def get_train_dataloader(self):
        return list(DataLoader(self.train_dataset, batch_size=8, collate_fn=padded))


def without_labels(features):
    return {"input_ids": padded(features)["input_ids"], "attention_mask": None}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": WithoutOutputs}, r"must give \(loss, outputs\) when return_outputs=True; got Tensor"),
        ({"kind": OwnStep}, "training_step must call compute_loss"),
        (
            {"kind": OwnBatches},
            "must come to training_step with its entry 'prune_kit_ids'.*has input_ids, labels",
        ),
        ({"kind": TwoLoaders}, "must make one loader.*makes several"),
        ({"kind": NoLoader}, "must give a torch.utils.data.DataLoader; got list"),
        (
            {"collator": without_labels},
            "must have labels under one of labels, label.*they have input_ids, att",
        ),
        ({"collator": lambda features: (1, 2)}, "the data collator must give a dict of tensors; got tuple"),
        ({"data": table().to_iterable_dataset(), "max_steps": 4}, "examples of .*IterableDataset stream"),
    ],
    ids=[
        "no outputs",
        "own step",
        "own batches",
        "two loaders",
        "no loader",
        "no labels",
        "no dict",
        "streams",
    ],
)
def test_trainer_that_cannot_be_recorded_is_told_why(tmp_path, options, message):
    made = trainer(tmp_path, **options)
    made.add_callback(ScoreCallback(made, tmp_path / "run"))
    with pytest.raises(PruneKitError, match=message):
        made.train()


def test_loader_of_the_users_own(tmp_path):
    made = trainer(tmp_path, OwnLoader)
    passes = listen(made.model)
    check_against(passes, train_recorded(made, tmp_path / "run"))


def test_labels_of_tokens_have_no_score(tmp_path):
    def labelled_tokens(features):
        batch = padded(features)
        return {"input_ids": batch["input_ids"], "labels": torch.zeros_like(batch["input_ids"])}

    made = trainer(tmp_path, model=classifier(BertForTokenClassification), collator=labelled_tokens)
    made.add_callback(ScoreCallback(made, tmp_path / "run"))
    with pytest.raises(PruneKitError, match=r"`logits` must .*got shape \(8, 9, 3\)|logits.*shape"):
        made.train()


def test_callback_added_to_another_trainer_is_refused(tmp_path):
    made, other = trainer(tmp_path), trainer(tmp_path)
    other.add_callback(ScoreCallback(made, tmp_path / "run"))
    with pytest.raises(PruneKitError, match="made for another Trainer"):
        other.train()


def test_wrong_arguments_are_told_before_training(tmp_path):
    with pytest.raises(
        PruneKitError, match=r"must be a transformers.Trainer; got BertForSequenceClassification"
    ):
        ScoreCallback(classifier(), tmp_path / "run")
    with pytest.raises(PruneKitError, match="grand_last_layer"):
        ScoreCallback(trainer(tmp_path), tmp_path / "run", scores=("grand_last_layer",))
    with pytest.raises(PruneKitError, match="`seed` must be"):
        ScoreCallback(trainer(tmp_path), tmp_path / "run", seed=-1)


def one_of_two_processes(folder):
    warnings.filterwarnings("error", ".*(examples were|training stopped|holds no state)")
    made = trainer(folder / "whole")
    passes = listen(made.model)
    train_recorded(made, folder / "expected")
    rank = made.args.process_index
    np.savez(
        folder / f"heard-{rank}.npz",
        step=[step for step, batch in enumerate(passes) for _ in batch],
        position=[position for batch in passes for position in batch],
        logits=[logits for batch in passes for logits in batch.values()],
    )
    for name, more in (("split", {"split_batches": True}), ("dispatched", {"dispatch_batches": True})):
        train_recorded(trainer(folder, accelerator_config=more, num_train_epochs=1), folder / name)
    interrupted(folder, folder / "run", 5, save_steps=4)
    resumed(folder, folder / "run", True)
    torch.distributed.destroy_process_group()


def test_two_processes_record_each_example_once_however_the_sampler_pads(tmp_path, in_two_processes):
    in_two_processes(__file__, tmp_path)
    heard = [np.load(tmp_path / f"heard-{rank}.npz") for rank in range(2)]
    step = np.concatenate([part["step"] for part in heard])
    position = np.concatenate([part["position"] for part in heard])[np.argsort(step, kind="stable")]
    logits = np.concatenate([part["logits"] for part in heard])[np.argsort(step, kind="stable")]
    assert len(position) == 3 * 48  # 43 examples, in batches of 8 in two processes
    passes = []
    for epoch in range(3):
        rows = slice(48 * epoch, 48 * (epoch + 1))
        _, first = np.unique(position[rows], return_index=True)
        passes.append(dict(zip(position[rows][first].tolist(), logits[rows][first], strict=True)))
    expected = Run.open(tmp_path / "expected")
    check_against(passes, expected)
    same_parts(Run.open(tmp_path / "run"), expected)
    for name in ("split", "dispatched"):
        np.testing.assert_array_equal(Run.open(tmp_path / name).read_part(SEED, 1).ids, np.arange(N))
    names = {path.name for path in (tmp_path / "out" / "checkpoint-4").glob("prune_kit*")}
    assert names == {"prune_kit_recorder-0.pt", "prune_kit_recorder-1.pt"}


@pytest.mark.filterwarnings("ignore:.*examples were not presented:UserWarning")
def test_checkpoint_of_other_processes_lacks_what_they_shared_out(tmp_path):
    interrupted(tmp_path, tmp_path / "run", 9, save_steps=8)
    path = tmp_path / "out" / "checkpoint-8" / "prune_kit_recorder-0.pt"
    torch.save({**torch.load(path, weights_only=True), "processes": 2}, path)
    with pytest.warns(UserWarning, match="or in other processes. .* before step 8 are lacking"):
        resumed(tmp_path, tmp_path / "run", True)
    assert Run.open(tmp_path / "run").parts() == [(SEED, 1), (SEED, 2), (SEED, 3)]


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_adapter_does_not_import_transformers():
    done = run_python("import prune_kit_torch, sys; sys.exit('transformers' in sys.modules)")
    assert done.returncode == 0, done.stderr


def test_missing_transformers_is_told_with_its_install_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.delitem(sys.modules, "prune_kit_torch.huggingface")
    with pytest.raises(MissingExtraError, match=r'pip install "prune-kit\[huggingface\]"'):
        import prune_kit_torch.huggingface  # noqa: F401


if __name__ == "__main__":
    one_of_two_processes(Path(sys.argv[1]))
