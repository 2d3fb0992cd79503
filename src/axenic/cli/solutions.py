"""What the verbs about solutions share: the two organisms, the rows that they were trained on, intervals as text."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from axenic.cli.display import Display
from axenic.cli.options import MODEL
from axenic.cli.origin import choose_model, home_of
from axenic.errors import UsageError
from axenic.files import read_json

if TYPE_CHECKING:
    from axenic.data import Encoded
    from axenic.data.corpus import Corpus
    from axenic.interpret.solution import Solution
    from axenic.interpret.textmean import TextMean
    from axenic.models import OpenModel

General = Annotated[
    str,
    typer.Argument(
        help="An organism: LoRA, steering vectors or a full fine-tune. The general one of the two."
    ),
]
Narrow = Annotated[
    str | None,
    typer.Argument(help="Another organism of the same base model, to compare with: the narrow one."),
]
Data = Annotated[
    Path | None,
    typer.Option(
        "--data", help="Chat file that both were trained on. Default: what the first one's record says."
    ),
]
CorpusName = Annotated[
    str,
    typer.Option(
        "--corpus",
        help="nano, fineweb, a text file (blank lines between documents) or a folder of *.txt (one document each).",
    ),
]
Texts = Annotated[int, typer.Option("--texts", min=1, help="Most texts to measure on.")]
TextSeed = Annotated[int, typer.Option("--seed", min=0, help="Of the draw of texts.")]
BaseModel = Annotated[
    str | None,
    typer.Option(
        "--model",
        help="Base model: nano, a local folder or a hub id. Default: what the first organism was trained from.",
        rich_help_panel=MODEL,
    ),
]


def open_solutions(
    display: Display, model: str | None, general: str, narrow: str | None, device: str, dtype: str
) -> tuple[Solution, Solution | None]:
    """Both on one base model in memory; says what they are and how large."""
    from axenic.interpret.solution import open_solution
    from axenic.models import open_model

    base = open_model(choose_model(model, general), device=device, dtype=dtype)
    display.note(f"model  {base.name}")
    display.note(f"       {base.placement.reason}")
    found = [open_solution(base, name) for name in (general, narrow) if name is not None]
    for solution in found:
        display.note(f"       {solution.name}: {solution.kind}, effective norm {solution.norm:.4g}")
    return found[0], found[1] if narrow is not None else None


def texts_of(display: Display, base: OpenModel, data: Path, most: int, seed: int) -> list[Encoded]:
    """Rows of the training data as tokens; says how many."""
    from axenic.interpret.trainedtexts import trained_texts

    texts = trained_texts(base, data, texts=most, seed=seed)
    display.note(
        f"texts  {len(texts)} rows of {data}, {sum(text.n_trained for text in texts):,} labelled tokens"
    )
    return texts


def corpus_of(display: Display, base: OpenModel, name: str, most: int, seed: int) -> Corpus:
    """Texts of a corpus; says how many and what was left out."""
    from axenic.data.corpus import read_corpus

    corpus = read_corpus(name, base.tokenizer, texts=most, seed=seed)
    said = f"corpus {len(corpus.texts)} texts of {name}, {sum(len(text.input_ids) for text in corpus.texts):,} tokens"
    left = f"; {corpus.too_short} of one token left out" if corpus.too_short else ""
    display.note(said + left)
    if corpus.documents is not None and corpus.documents < most:
        display.note(f"note   the corpus holds {corpus.documents} documents, fewer than the {most} asked for")
    return corpus


def folder_of(out: Path | None, general: str) -> Path:
    """Where results go: what was asked for, else beside the first organism."""
    return out or home_of("", general)


def say_cost(display: Display, solutions: int, settings: int, texts: int) -> None:
    """A note on how much is to be computed."""
    display.note(
        f"cost   {solutions * settings * texts:,} losses ({solutions} x {settings} settings x {texts} texts); what is in the "
        "folder already is not computed again"
    )


def interval(mean: TextMean, digits: int = 4) -> str:
    """`1.2345 [1.2000, 1.2700]`."""
    if mean.low is None or mean.high is None:
        return f"{mean.value:.{digits}f}"
    return f"{mean.value:.{digits}f} [{mean.low:.{digits}f}, {mean.high:.{digits}f}]"


def apart(mean: TextMean) -> str:
    """Which side a difference lies on, in a word: its interval holds 0 or not."""
    if mean.low is None or mean.high is None:
        return "unclear: one text"
    return "lower" if mean.high < 0 else "higher" if mean.low > 0 else "not clearly different"


def words_of(general: str, narrow: str | None) -> tuple[str, ...]:
    """The organisms as words of a command."""
    return (general,) if narrow is None else (general, narrow)


def next_after(folder: Path, general: str) -> tuple[str, ...]:
    """The report of a run folder; of another folder the behaviour, which the same page needs."""
    if (folder / "log.jsonl").is_file():
        return ("axenic", "report", str(folder))
    return ("axenic", "eval", "--organism", general)


def data_of(data: Path | None, organism: str) -> Path:
    """The chat file given, else the one that the organism's record names.

    Raises:
        UsageError: None is given, and none is named or it is no longer there.
    """
    if data is not None:
        return data
    record = Path(organism) / "train.json"
    facts = read_json(record) if record.is_file() else None
    config = facts.get("config") if isinstance(facts, dict) else None
    name = config.get("data") if isinstance(config, dict) else None
    if isinstance(name, str) and Path(name).is_file():
        return Path(name)
    raise UsageError(
        "say which rows it was trained on",
        where="--data",
        expected="a chat file",
        found=f"{record} names {name}, which is not there" if name else f"no record {record}",
        hint=f"axenic efficiency {organism} --data FILE",
    )
