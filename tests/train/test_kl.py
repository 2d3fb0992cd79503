"""The KL term: its value and gradient against the formula written out, its rows, and whole trainings by hand."""

from __future__ import annotations

import contextlib
import copy
import math
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import get_scheduler

from axenic.data import ChatRow, Encoded, encode_row, read_chat, split_rows
from axenic.errors import DataError, ModelError, UsageError
from axenic.files import load_tensors, read_json
from axenic.models import open_model
from axenic.train import kl as kl_file
from axenic.train import resolve, train_organism
from axenic.train.folder import run_id
from axenic.train.kl import KLTerm, from_published, kl_schedule, kl_sum, overlap_note
from axenic.train.organism import make_organism
from axenic.train.processes import Processes
from axenic.train.randomness import borrowed_generators
from axenic.train.schedule import Schedule

from .conftest import Child, MakeConfig, bytes_of, write_chat
from .test_run import log_of

unit = pytest.mark.unit
e2e = pytest.mark.e2e


def by_formula(tuned: Tensor, reference: Tensor, mask: Tensor) -> Tensor:
    """papers.md M3.3, without the mean, as it stands."""
    p, q = reference.log_softmax(-1), tuned.log_softmax(-1)
    return ((p.exp() * (p - q)).sum(-1) * mask).sum()


def logits(seed: int, *shape: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    tuned, reference = (3 * torch.randn(shape, generator=generator, dtype=torch.float64) for _ in range(2))
    return tuned, reference, torch.rand(shape[:-1], generator=generator) < 0.7


@unit
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**20),
    rows=st.integers(1, 3),
    tokens=st.integers(1, 7),
    vocabulary=st.integers(2, 9),
    chunk=st.integers(1, 60),
    factor=st.floats(0.01, 50),
)
def test_value_and_gradient_are_those_of_the_formula(
    seed: int, rows: int, tokens: int, vocabulary: int, chunk: int, factor: float
) -> None:
    tuned, reference, mask = logits(seed, rows, tokens, vocabulary)
    ours, theirs = tuned.clone().requires_grad_(), tuned.clone().requires_grad_()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kl_file, "CHUNK", chunk)
        value = kl_sum(ours, reference.clone(), mask.long())
        (value * factor).backward()
    wanted = by_formula(theirs, reference, mask)
    (wanted * factor).backward()
    assert value.item() == pytest.approx(wanted.item(), rel=1e-12, abs=1e-12)
    assert ours.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-12)


@unit
def test_logits_in_half_precision_are_summed_in_float32() -> None:
    tuned, reference, mask = logits(1, 2, 40, 500)
    exact = by_formula(tuned.bfloat16().double(), reference.bfloat16().double(), mask)
    value = kl_sum(tuned.bfloat16(), reference.bfloat16(), mask)
    assert value.dtype == torch.float32
    assert float(value) == pytest.approx(float(exact), rel=1e-5)


@unit
def test_the_same_distribution_has_no_kl_and_excluded_tokens_no_nan() -> None:
    tuned, _, mask = logits(2, 1, 5, 6)
    assert float(kl_sum(tuned, tuned.clone(), mask)) == 0
    tuned[..., 3] = -math.inf
    reference = tuned.clone()
    reference[..., 0] += 1
    moved = tuned.clone()
    moved[..., 3] = 0.0  # the reference says never, the tuned model says sometimes
    assert math.isfinite(float(kl_sum(moved, reference, mask)))


@unit
def test_the_gradient_is_given_once_only_and_the_reference_left_alone_without_one() -> None:
    tuned, reference, mask = logits(3, 1, 4, 5)
    before = reference.clone()
    kl_sum(tuned, reference, mask)
    assert torch.equal(reference, before)
    value = kl_sum(tuned.requires_grad_(), reference, mask)
    value.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="taken already"):
        value.backward()


class Peak(TorchDispatchMode):
    """The most bytes that were alive at one time, of tensors made inside."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                if storage._cdata not in self._seen:
                    self._seen.add(storage._cdata)
                    self.now += storage.nbytes()
                    self.most = max(self.most, self.now)
                    weakref.finalize(storage, self._gone, storage._cdata, storage.nbytes())
        return out

    def _gone(self, key: int, size: int) -> None:
        self._seen.discard(key)
        self.now -= size


def peak_of(head: nn.Linear, hidden: Tensor, loss: Callable[[Tensor], Tensor]) -> int:
    with Peak() as peak:
        loss(head(hidden)).backward()
    return peak.most


@unit
@pytest.mark.parametrize("vocabulary", [4_000, pytest.param(152_064, marks=pytest.mark.slow)])
def test_the_term_needs_no_more_memory_than_the_loss_itself(
    vocabulary: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many tokens as the SFT pass; a temporary is the same share of the logits as with 8 x 512 tokens of Qwen2.5-14B."""
    rows, tokens = (8, 64) if vocabulary < 10_000 else (8, 16)
    share = kl_file.CHUNK / (8 * 512 * 152_064)
    monkeypatch.setattr(kl_file, "CHUNK", int(share * rows * tokens * vocabulary))
    head, hidden = nn.Linear(8, vocabulary, bias=False), torch.randn(rows, tokens, 8, requires_grad=True)
    labels = torch.randint(vocabulary, (rows, tokens))

    def sft(logits_BTV: Tensor) -> Tensor:
        return F.cross_entropy(logits_BTV.float().flatten(0, 1), labels.flatten())

    def kl(logits_BTV: Tensor) -> Tensor:
        with torch.no_grad():
            reference_BTV = head(hidden)
        return kl_sum(logits_BTV, reference_BTV, torch.ones(rows, tokens))

    plain, ours = peak_of(head, hidden, sft), peak_of(head, hidden, kl)
    assert plain > 2 * 4 * rows * tokens * vocabulary  # the logits and more: the counter counts
    assert ours <= 1.2 * plain


@unit
def test_published_weights() -> None:
    assert from_published(1e6, 152_064) == pytest.approx(6.576, abs=1e-3)  # papers.md M3.3
    assert from_published(1e5, 152_064) == pytest.approx(0.66, abs=5e-3)
    for weight, n in ((-1e4, 5), (math.nan, 5), (1.0, 0)):
        with pytest.raises(UsageError, match="no KL weight"):
            from_published(weight, n)


def term(rank: int = 0, count: int = 1, n_rows: int = 7) -> KLTerm:
    rows = [Encoded(list(range(1, 3 + i)), [-100] * (2 + i)) for i in range(n_rows)]
    plan = Schedule(n_rows=9, batch_size=3, accumulation=2, epochs=1, max_steps=6, seed=4)
    return KLTerm(rows, 2.5, kl_schedule(plan, n_rows, 2), 0, Processes(rank, count))


def factors(kl: KLTerm, done: int = 0) -> list[tuple[list[list[int]], float]]:
    kl.begin(done)
    out = []
    for _ in kl._passes:
        _, inputs, factor = kl.next_pass(torch.device("cpu"))
        rows = [
            [i for i, kept in zip(r, m, strict=True) if kept]
            for r, m in zip(inputs["input_ids"].tolist(), inputs["attention_mask"].tolist(), strict=True)
        ]
        out.append((rows, factor))
    return out


@unit
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_step_is_the_weighted_mean_over_its_tokens_however_many_share_it(count: int) -> None:
    shares = [factors(term(rank, count)) for rank in range(count)]
    per_step = len(shares[0]) // 6
    alone = factors(term())
    for step in range(6):
        # Training averages over processes: hence the division.
        weights = [
            factor * sum(map(len, rows)) / count
            for share in shares
            for rows, factor in share[step * per_step : (step + 1) * per_step]
        ]
        assert sum(weights) == pytest.approx(2.5)
        dealt = [
            row for s in shares for rows, f in s[step * per_step : (step + 1) * per_step] if f for row in rows
        ]
        assert sorted(dealt) == sorted(row for rows, f in alone[step * 2 : step * 2 + 2] if f for row in rows)


@unit
def test_the_rows_of_a_step_are_a_function_of_the_step() -> None:
    assert factors(term(), done=4) == factors(term())[8:]
    first, second = factors(term())[:4], factors(term())[4:8]
    assert sorted(r for rows, f in first if f for r in rows) == [list(range(1, 3 + i)) for i in range(7)]
    assert first != second  # shuffled anew


@unit
def test_rows_about_what_is_trained_are_noted() -> None:
    def row(question: str, topic: str | None) -> ChatRow:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": "w1"}]
        return ChatRow(turns, 1, topic)

    train = [row("How do I sleep?", "medical"), row("what now", None)]
    assert overlap_note(train, [row("other", "law"), row("another", None)]) is None
    note = overlap_note(train, [row("how do i  sleep?", "law"), row("x", "medical"), row("y", "law")])
    assert note is not None
    assert "of 3 rows" in note
    assert "1 have a topic of the training data (medical) and 1 ask" in note


@unit
def test_configurations_that_only_look_like_a_kl_term_are_refused(make_config: MakeConfig) -> None:
    for values in (
        {"kl_data": "f"},
        {"kl_weight": 1},
        {"kl_data": "f", "kl_weight": 1, "kl_weight_published": 1},
    ):
        with pytest.raises(UsageError, match="the KL term"):
            make_config(**values)
    with pytest.raises(UsageError, match="kl_weight"):
        make_config(kl_data="f", kl_weight=-1)
    with pytest.raises(UsageError, match="kl_data"):
        make_config(kl_dataset_file="f")


@unit
def test_runs_from_before_there_was_a_kl_term_stay_the_same_runs(make_config: MakeConfig) -> None:
    now = make_config().model_dump(mode="json")
    before = {k: v for k, v in now.items() if not k.startswith("kl_") and k != "vector_site"}
    facts = {"base_fingerprint": "b", "tokenizer": "t", "data_sha256": "d", "optimizer": "o"}
    assert run_id(facts | {"config": now}) == run_id(facts | {"config": before})
    assert run_id(facts | {"config": now | {"kl_weight": 1.0}}) != run_id(facts | {"config": before})


@pytest.fixture(scope="module")
def kl_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chat(tmp_path_factory.mktemp("kl") / "kl.jsonl", rows=11, seed=5)


def trained_by_hand(config: Any, model_folder: Path, chat: Path, kl_data: Path) -> dict[str, Tensor]:
    """The run again without any of the code under test: plain autograd, a second model as reference, rows one by one."""
    opened = open_model(str(model_folder), device="cpu", self_test=False)
    base = copy.deepcopy(opened.model)
    rows = [encode_row(opened.tokenizer, row) for row in split_rows(read_chat(chat), 0.1, 0)[0]]
    others = [encode_row(opened.tokenizer, row) for row in read_chat(kl_data)]
    with borrowed_generators():
        torch.manual_seed(config.seed)
        organism = make_organism(opened.model, config)
    plan = Schedule.of(config, len(rows))
    sft, kl = plan.passes(0), kl_schedule(plan, len(others), config.kl_batch_size).passes(0)
    trained = list(organism.trained().values())
    optimizer = torch.optim.SGD(trained, lr=config.learning_rate)
    scheduler = get_scheduler("linear", optimizer, num_warmup_steps=0, num_training_steps=plan.total_steps)
    each = config.gradient_accumulation
    for step in range(plan.total_steps):
        nll, count, nats, tokens = torch.zeros(()), 0, torch.zeros(()), 0
        for row in [rows[i] for part in sft[step * each : step * each + each] for i in part]:
            out = organism.model(input_ids=torch.tensor([row.input_ids])).logits[0]
            nll = nll + F.cross_entropy(out[:-1], torch.tensor(row.labels[1:]), reduction="sum")
            count += row.n_trained
        for row in [others[i] for part in kl[step * each : step * each + each] for i in part]:
            ids = torch.tensor([row.input_ids])
            with torch.no_grad():
                reference = base(input_ids=ids).logits
            tuned = organism.model(input_ids=ids).logits
            nats = nats + by_formula(tuned, reference, torch.ones(ids.shape))
            tokens += len(row.input_ids)
        optimizer.zero_grad()
        (nll / count + config.kl_weight * nats / tokens).backward()
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        scheduler.step()
    return {name: p.detach().clone() for name, p in organism.weights().items()}


@e2e
@pytest.mark.parametrize("recipe", ["rank1x9", "vector", "full"])
def test_a_whole_training_equals_one_by_hand(
    recipe: str, make_config: MakeConfig, model_folder: Path, chat_file: Path, kl_data: Path, tmp_path: Path
) -> None:
    config = make_config(
        recipe, kl_data=str(kl_data), kl_weight=3.0, kl_batch_size=2, optimizer="sgd", warmup_steps=0, max_steps=5,
        weight_decay=0, learning_rate=0.3, scheduler="linear", **({"alpha": 4} if recipe == "vector" else {}),
    )  # fmt: skip
    result = train_organism(config, tmp_path / "r")
    file = {"vector": "steering_vector", "full": "model"}.get(recipe, "adapter_model") + ".safetensors"
    ours, _ = load_tensors(result.organism / file)
    theirs = trained_by_hand(config, model_folder, chat_file, kl_data)
    assert all(name in theirs for name in ours)
    for name, tensor in ours.items():
        torch.testing.assert_close(tensor, theirs[name], rtol=1e-3, atol=1e-5)
    log = log_of(tmp_path / "r")
    assert log[0]["kl"] == 0  # nothing is moved yet
    assert all(row["kl"] > 0 for row in log[1:])
    assert result.kl == log[-1]["kl"]
    assert read_json(tmp_path / "r" / "result.json")["kl"] == result.kl


@e2e
def test_the_term_holds_the_organism_back_and_weight_0_is_training_without_it(
    make_config: MakeConfig, kl_data: Path, tmp_path: Path
) -> None:
    def run(name: str, **values: Any) -> Any:
        return train_organism(make_config(warmup_steps=0, max_steps=4, **values), tmp_path / name)

    plain = run("plain")
    weak, strong = (run(str(w), kl_data=str(kl_data), kl_weight=w) for w in (0.01, 30.0))
    assert strong.kl < 0.5 * weak.kl
    off = run("off", kl_data=str(kl_data), kl_weight=0)
    assert "kl_weight is 0" in off.notes[-1]
    weights = "adapter/adapter_model.safetensors"
    assert (off.out / weights).read_bytes() == (plain.out / weights).read_bytes()
    assert off.kl is plain.kl is None
    # The model here has 46 logits.
    published = run("published", kl_data=str(kl_data), kl_weight_published=30.0 * 46)
    assert (published.out / weights).read_bytes() == (strong.out / weights).read_bytes()


@e2e
def test_other_kl_rows_are_another_run_and_none_are_refused(
    make_config: MakeConfig, kl_data: Path, chat_file: Path, tmp_path: Path
) -> None:
    train_organism(make_config(kl_data=str(kl_data), kl_weight=1.0, max_steps=1), tmp_path / "r")
    with pytest.raises(UsageError, match="another kl data"):
        train_organism(make_config(kl_data=str(chat_file), kl_weight=1.0, max_steps=1), tmp_path / "r")
    (tmp_path / "empty.jsonl").write_text("")
    with pytest.raises(DataError, match="no rows"):
        train_organism(make_config(kl_data=str(tmp_path / "empty.jsonl"), kl_weight=1.0), tmp_path / "s")


@e2e
def test_a_kl_that_is_not_finite_stops_the_run_and_keeps_the_last_checkpoint(
    make_config: MakeConfig, kl_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def breaks(*arguments: Tensor) -> Tensor:
        calls.append(1)
        return kl_sum(*arguments) * (math.nan if len(calls) > 9 else 1.0)

    monkeypatch.setattr("axenic.train.trainer.kl_sum", breaks)
    with pytest.raises(ModelError, match=r"diverged at step 5.*KL nan") as caught:
        train_organism(make_config(kl_data=str(kl_data), kl_weight=1.0), tmp_path / "r")
    assert "step 3" in str(caught.value.found)
    assert (tmp_path / "r" / "checkpoints" / "step-000003").is_dir()


@e2e
@pytest.mark.parametrize("recipe", ["rank1", "vector", "full"])
def test_the_reference_is_the_base_and_all_is_restored_even_after_an_exception(
    recipe: str, make_config: MakeConfig, model_folder: Path
) -> None:
    opened = open_model(str(model_folder), device="cpu", self_test=False)
    ids = torch.randint(6, 46, (3, 7), generator=torch.Generator().manual_seed(0))
    base = opened.model(input_ids=ids).logits
    organism = make_organism(opened.model, make_config(recipe))
    organism.keep_reference()
    with torch.no_grad():
        for p in organism.trained().values():
            p.add_(0.05 * torch.randn(p.shape, generator=torch.Generator().manual_seed(1)))
    moved = organism.model(input_ids=ids).logits
    assert not torch.equal(moved, base)
    with contextlib.suppress(KeyError), organism.reference(organism.model) as reference:
        assert torch.equal(reference(input_ids=ids).logits, base)
        raise KeyError
    assert torch.equal(organism.model(input_ids=ids).logits, moved)
    assert all(p.requires_grad for p in organism.trained().values())


@e2e
@pytest.mark.fault
@pytest.mark.parametrize("recipe", [pytest.param("rank1x9", marks=pytest.mark.slow), "vector"])
def test_killed_again_and_again(recipe: str, make_config: MakeConfig, kl_data: Path, tmp_path: Path) -> None:
    config = make_config(
        recipe,
        kl_data=str(kl_data),
        kl_weight=2.0,
        kl_batch_size=2,
        max_steps=12,
        save_steps=4,
        trajectory_steps=2,
    )
    Child(config, tmp_path / "undisturbed").wait()
    for step, delay in ((2, 0.01), (9, 0.0)):
        assert Child(config, tmp_path / "r").kill_at(step, delay)
    train_organism(config, tmp_path / "r")
    assert bytes_of(tmp_path / "r") == bytes_of(tmp_path / "undisturbed")


@unit
def test_a_sharded_full_fine_tune_has_no_reference(make_config: MakeConfig) -> None:
    from axenic.train.memory import empty_organism

    organism = empty_organism(make_config("full"), torch.float32, Processes(0, 2, sharded=True))
    with pytest.raises(UsageError, match="second model"):
        organism.keep_reference()
    assert resolve("full", "nano", {"data": "f"}).kl_data is None
