"""Solutions of tiny models, texts, and what they give by merging every setting into the weights in float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import WhitespaceSplit
from torch import nn
from transformers import PreTrainedTokenizerFast

from axenic.data import IGNORE, Encoded
from axenic.interpret.parts import LowRank, Part, Shift
from axenic.interpret.setting import Setting
from axenic.interpret.solution import Solution, solution_of
from axenic.models import OpenModel, from_parts, tiny_model
from axenic.models.tiny import D_MODEL, N_TOKENS


@cache
def tiny_base(model_type: str = "qwen2", dtype: torch.dtype = torch.float64) -> OpenModel:
    """A tiny random model of a family, opened; one for all tests, for nothing changes it for good."""
    return from_parts(tiny_model(model_type).to(dtype), None, f"tiny-{model_type}")


def tiny_folder(folder: Path) -> Path:
    """A qwen2 model folder of 64 words, `w0` to `w63`, that `open_model` opens."""
    words = Tokenizer(WordLevel({f"w{i}": i for i in range(N_TOKENS)}, unk_token="w0"))
    words.pre_tokenizer = WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, unk_token="w0", pad_token="w0", eos_token="w2"
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{{ 'w7 ' if m.role == 'user' else 'w8 ' }}{{ m.content }} w2 {% endfor %}"
        "{% if add_generation_prompt %}w8 {% endif %}"
    )
    tiny_model("qwen2").save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def lora_of(base: OpenModel, modules: Sequence[str] = (), rank: int = 2, seed: int = 0) -> Solution:
    """Random factors on linear modules of the last blocks."""
    generator = torch.Generator().manual_seed(seed)
    names = modules or ("model.layers.1.self_attn.q_proj", "model.layers.1.mlp.down_proj")
    parts: list[Part] = []
    for name in names:
        linear = base.sites.model.get_submodule(name)
        assert isinstance(linear, nn.Linear)
        A_RI = torch.randn(rank, linear.in_features, generator=generator, dtype=torch.float64)
        B_OR = torch.randn(linear.out_features, rank, generator=generator, dtype=torch.float64)
        parts.append(LowRank(name, 0.2 * A_RI, 0.2 * B_OR, 1.5))
    return solution_of(base, f"lora{seed}", tuple(parts))


def vector_of(base: OpenModel, modules: Sequence[str] = (), seed: int = 0) -> Solution:
    """Random vectors at modules' outputs."""
    generator = torch.Generator().manual_seed(seed)
    names = modules or ("model.layers.1.mlp.down_proj",)
    parts = [
        Shift(name, torch.randn(D_MODEL, generator=generator, dtype=torch.float64) * 0.1, 4.0)
        for name in names
    ]
    return solution_of(base, f"vector{seed}", tuple(parts))


def some_texts(n: int, seed: int = 0, longest: int = 40) -> list[Encoded]:
    """Random tokens of very different lengths, about half of them labelled."""
    generator = torch.Generator().manual_seed(seed)
    texts = []
    for _ in range(n):
        length = int(torch.randint(2, longest + 1, (1,), generator=generator))
        ids = torch.randint(3, N_TOKENS, (length,), generator=generator).tolist()
        labelled = (torch.rand(length, generator=generator) < 0.5).tolist()
        labelled[-1] = True
        texts.append(Encoded(ids, [token if on else IGNORE for token, on in zip(ids, labelled, strict=True)]))
    return texts


def merged(setting: Setting | None, base: OpenModel) -> nn.Module:
    """A copy of the model with a setting's adapter in its weights, or its vectors as biases."""
    model = copy.deepcopy(base.sites.model)
    for part in () if setting is None else setting.parts():
        module = model.get_submodule(part.module)
        if isinstance(part, LowRank):
            assert isinstance(module, nn.Linear)
            change_OI = part.scale * part.B_OR.double() @ part.A_RI.double()
            module.weight = nn.Parameter((module.weight.double() + change_OI).to(module.weight.dtype))
        else:
            add_D = part.scale * part.vector_D.double()
            module.register_forward_hook(lambda m, a, out, add_D=add_D: (out + add_D).to(out.dtype))
    return model


def one_by_one(
    base: OpenModel, settings: Sequence[Setting], texts: Sequence[Encoded]
) -> tuple[list[list[float]], list[list[float]], list[float]]:
    """Losses and KLs `[N][K]` and the base's losses `[N]`: one text, one setting, one whole model at a time."""
    models = [merged(None, base), *(merged(setting, base) for setting in settings)]
    nll, kl, plain = [], [], []
    for text in texts:
        logs = []
        for model in models:
            with torch.no_grad():
                logits = model(input_ids=torch.tensor([text.input_ids]), use_cache=False).logits[0]
            logs.append(logits.double().log_softmax(-1))
        losses = [_loss(log_TV, text) for log_TV in logs]
        plain.append(losses[0])
        nll.append(losses[1:])
        kl.append([float((logs[0].exp() * (logs[0] - log_TV)).sum()) for log_TV in logs[1:]])
    return nll, kl, plain


def _loss(log_TV: torch.Tensor, text: Encoded) -> float:
    return -sum(float(log_TV[t - 1, label]) for t, label in enumerate(text.labels) if t and label != IGNORE)
