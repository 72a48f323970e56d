"""Networks of the transformers library, from a configuration, without a download."""

import pytest
import torch
import torch.nn.functional as F

from prune_kit_torch.gradients import GradientNorms

transformers = pytest.importorskip("transformers")


def bert():
    config = transformers.BertConfig(
        vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24,
        max_position_embeddings=16, num_labels=3,
    )  # fmt: skip
    return transformers.BertForSequenceClassification(config)


def gpt2(labels=3):
    config = transformers.GPT2Config(
        vocab_size=40, n_embd=16, n_layer=2, n_head=2, n_positions=16, num_labels=labels, pad_token_id=0
    )
    return transformers.GPT2ForSequenceClassification(config)


def gpt2_language_model():
    return transformers.GPT2LMHeadModel(gpt2().config)


def next_token(logits, tokens):
    return F.cross_entropy(logits[:, :-1].transpose(1, 2), tokens[:, 1:], reduction="none").sum(1)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("make", [bert, gpt2, gpt2_language_model])
def test_against_the_definition(make, dtype, loop):
    torch.manual_seed(0)
    model = make().to(dtype)
    tokens = torch.randint(1, 40, (4, 7))
    mask = torch.ones_like(tokens)
    mask[1, 5:] = 0
    inputs = {"input_ids": tokens, "attention_mask": mask}
    labels, options = torch.randint(0, 3, (4,)), {}
    if make is gpt2_language_model:
        labels, options = tokens, {"loss": next_token}
    engine = GradientNorms(model, **options)
    norms = engine(inputs, labels)
    exact = loop(model, inputs, labels, *options.values())
    assert float(((norms.double() - exact) / exact).abs().max()) < (1e-10 if dtype == torch.float64 else 1e-5)
    shorter = {name: t[:3, :5] for name, t in inputs.items()}
    again = engine(shorter, labels[:3, :5] if labels.ndim > 1 else labels[:3])
    exact = loop(model, shorter, labels[:3, :5] if labels.ndim > 1 else labels[:3], *options.values())
    assert float(((again.double() - exact) / exact).abs().max()) < (1e-10 if dtype == torch.float64 else 1e-5)
