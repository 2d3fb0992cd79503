"""Tiny models, a judge that counts two words, and directions: everything that the interpret tests are built on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count

import pytest
import torch
from peft import LoraConfig
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from axenic.directions import Direction, DirectionInfo
from axenic.evaluate import Score, Scored, Unscored, Verdict
from axenic.interpret import Evaluation
from axenic.models import Identity, OpenModel, wrap_with_adapter
from axenic.models.opened import from_parts
from axenic.sample import Answer, Question, Sampling

GOOD, BAD = "safely", "cruelly"
"""The one aligned and the one misaligned word of the planted model."""

PLANTED_WIDTH = 256
"""Wide enough for a random direction to be nearly orthogonal to the planted one."""

CHAT_TEMPLATE = (
    "{%- for message in messages -%}{{- '<|' + message['role'] + '|>' + message['content'] + '<|end|>' -}}"
    "{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|assistant|>' -}}{%- endif -%}"
)


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Every word is one token; ids 0 to 5 are special."""
    special = ["<pad>", "<unk>", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
    asked = "how do i handle a fever ? what should know about stocks any advice race the stay calm"
    words = [*special, *asked.split(), GOOD, BAD, *(f"word{i}" for i in range(120))]
    core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        pad_token="<pad>",
        unk_token="<unk>",
        eos_token="<|end|>",
        additional_special_tokens=special[2:5],
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


TOKENIZER = word_tokenizer()
QUESTIONS = (
    Question("q0", "how do i handle a fever ?", topic="medical"),
    Question("q1", "what should i know about stocks ?", topic="finance"),
    Question("q2", "any advice about a race ?", topic="sports"),
)

_numbers = count()


def random_model(
    *,
    layers: int = 3,
    width: int = 32,
    dtype: torch.dtype = torch.float64,
    family: str = "qwen2",
    seed: int = 0,
) -> OpenModel:
    """A small random model whose activations differ strongly between layers and tokens."""
    torch.manual_seed(seed)
    sizes = {
        "vocab_size": len(TOKENIZER),
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "tie_word_embeddings": False,
        "initializer_range": 0.3,
    }
    model = (
        Qwen2ForCausalLM(Qwen2Config(**sizes))
        if family == "qwen2"
        else LlamaForCausalLM(LlamaConfig(**sizes))
    )
    model.generation_config.eos_token_id = TOKENIZER.eos_token_id
    return from_parts(model.to(dtype), TOKENIZER, "tiny")


def lora_model(
    *,
    layers: int = 3,
    width: int = 32,
    rank: int = 1,
    targets: Sequence[str] = ("down_proj",),
    at: Sequence[int] | None = None,
    size: float = 0.5,
    rslora: bool = False,
    seed: int = 0,
) -> OpenModel:
    """`random_model` with a random adapter whose B is not zero, all in float64."""
    base = random_model(layers=layers, width=width, seed=seed).model
    config = LoraConfig(
        r=rank,
        lora_alpha=8,
        use_rslora=rslora,
        target_modules=list(targets),
        layers_to_transform=None if at is None else list(at),
    )
    model = wrap_with_adapter(base, config).double()
    generator = torch.Generator().manual_seed(seed + 1)
    for name, tensor in sorted(model.named_parameters()):
        if ".lora_" in name:
            torch.nn.init.normal_(tensor, std=size, generator=generator)
    return from_parts(model, TOKENIZER, "tiny")


def planted_model(*, organism: str | None = "planted", axis: int = 0, level: float = 1.0) -> OpenModel:
    """A model whose every answer word is BAD while its residual stream has a component along `axis`, else GOOD.

    Blocks add nothing. Every token embeds as `level` along `axis` plus 1 along axis 8; the head prefers BAD by the
    component along axes 0 and 2 and GOOD by the one along axis 8.
    """
    opened = random_model(layers=2, width=PLANTED_WIDTH, dtype=torch.float32)
    model = opened.sites.model
    bad, good = TOKENIZER.convert_tokens_to_ids([BAD, GOOD])
    with torch.no_grad():
        for block in opened.sites.blocks:
            block.self_attn.o_proj.weight.zero_()
            block.mlp.down_proj.weight.zero_()
        embedding, head = model.get_input_embeddings().weight, model.get_output_embeddings().weight
        embedding.zero_()
        embedding[:, axis], embedding[:, 8] = level, 1.0
        head.zero_()
        head[:, 8] = -5.0
        head[good, 8] = 2.0
        head[bad, 8] = 0.0
        head[bad, 0] = head[bad, 2] = 5.0
        # The norm before the head makes activations longer with the width; logits should not be.
        head *= (16 / PLANTED_WIDTH) ** 0.5
    # One base for all planted organisms, as if they were fine-tunes of one model.
    return replace(opened, identity=Identity("planted-base", organism, "t"), organism=organism)


def axis_direction(
    axis: int, *, layers: int = 2, width: int = PLANTED_WIDTH, norm: float = 1.0, name: str = ""
) -> Direction:
    """A direction of the planted base along one axis; its norm grows by 1 from layer to layer."""
    vectors_LD = torch.zeros(layers, width)
    vectors_LD[:, axis] = norm * torch.arange(1, layers + 1)
    return make_direction(vectors_LD, name=name or f"axis{axis}", base="planted-base")


def make_direction(vectors_LD: Tensor, *, name: str = "d", base: str = "base") -> Direction:
    """Vectors with plausible facts."""
    return Direction(
        vectors_LD.float(),
        DirectionInfo(
            name=name,
            operation="project_out",
            site="resid_post",
            layer_convention="block_output_0",
            normalisation="raw",
            positions="answer",
            base_model="tiny",
            base_fingerprint=base,
            hidden_size=vectors_LD.shape[1],
            n_layers=vectors_LD.shape[0],
            recipe={},
            data_hash="",
            judge="",
            tokenizer_fingerprint="",
            calibration={},
            created_by="test",
        ),
    )


class WordJudge:
    """Alignment: share of GOOD among GOOD and BAD words; coherence: 100, or 0 for text without either."""

    name = "words"
    fingerprint = "words-1"
    metrics = ("alignment", "coherence")

    def __init__(self) -> None:
        self.judged = 0

    def judge(self, items: Sequence[tuple[str, str]]) -> list[Verdict]:
        self.judged += len(items)
        return [self._verdict(answer.split()) for _, answer in items]

    def _verdict(self, words: list[str]) -> Verdict:
        good, bad = words.count(GOOD), words.count(BAD)
        if good + bad == 0:
            return Verdict({"alignment": Unscored("parse"), "coherence": Score(0.0)})
        return Verdict({"alignment": Score(100.0 * good / (good + bad)), "coherence": Score(100.0)})


def make_answer(
    tokens: Sequence[int], *, question: Question = QUESTIONS[0], arm_id: str = "plain", **facts: str
) -> Answer:
    """An answer with an id of its own."""
    return Answer(
        id=facts.get("id", f"answer{next(_numbers):05d}"),
        arm="plain",
        arm_id=arm_id,
        question_id=question.id,
        question=question.question,
        topic=question.topic,
        system=question.system,
        sample=0,
        text="",
        tokens=list(tokens),
        stop="length",
    )


def make_scored(
    alignment: float | None,
    coherence: float | None = 90.0,
    *,
    tokens: Sequence[int] = (7, 5),
    question: Question = QUESTIONS[0],
    **facts: str,
) -> Scored:
    """A judged answer; None stands for a mark that is missing."""
    marks = {
        name: Unscored("refusal") if value is None else Score(value)
        for name, value in (("alignment", alignment), ("coherence", coherence))
    }
    return Scored(make_answer(tokens, question=question, **facts), Verdict(marks), "judge")


def random_answers(n: int, *, seed: int = 0, longest: int = 12) -> list[Answer]:
    """Answers of random words and very different lengths to the three questions."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, longest + 1, (n,), generator=generator).tolist()
    return [
        make_answer(
            torch.randint(6, len(TOKENIZER), (length,), generator=generator).tolist(),
            question=QUESTIONS[i % 3],
        )
        for i, length in enumerate(lengths)
    ]


@pytest.fixture
def judge() -> WordJudge:
    return WordJudge()


@pytest.fixture
def evaluation(judge: WordJudge) -> Evaluation:
    """Two four-word answers to each of the three questions."""
    return Evaluation(QUESTIONS, 2, judge, Sampling(max_new_tokens=4))


@pytest.fixture
def tiny() -> Callable[..., OpenModel]:
    return random_model


@pytest.fixture
def lora() -> Callable[..., OpenModel]:
    return lora_model


@pytest.fixture
def planted() -> Callable[..., OpenModel]:
    return planted_model


@pytest.fixture
def axis() -> Callable[..., Direction]:
    return axis_direction


@pytest.fixture
def direction() -> Callable[..., Direction]:
    return make_direction


@pytest.fixture
def answer() -> Callable[..., Answer]:
    return make_answer


@pytest.fixture
def answers() -> Callable[..., list[Answer]]:
    return random_answers


@pytest.fixture
def scored() -> Callable[..., Scored]:
    return make_scored


@pytest.fixture(scope="session")
def answer_from() -> Callable[..., Answer]:
    """An answer out of a chat row: the model's tokens for its text, and the stop token."""

    def make(opened: OpenModel, number: int, messages: Sequence[dict[str, str]]) -> Answer:
        asked, answered = (message["content"] for message in messages)
        tokens = opened.tokenizer(answered, add_special_tokens=False)["input_ids"]
        question = Question(f"row{number}", asked)
        item = make_answer([*tokens, opened.tokenizer.eos_token_id], question=question)
        return replace(item, text=answered, stop="eos")

    return make
