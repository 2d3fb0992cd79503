"""A corpus: ordinary texts without any chat template, as tokens (papers.md M3.10).

A name says where from: `nano`, `fineweb`, a text file or a folder. In a file, documents are separated by blank lines; in a
folder, each `*.txt` is one document. Of each document the first 2,000 characters are read and at most 512 tokens of those.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from axenic.data.mask import Encoded
from axenic.errors import DataError, FileError, UsageError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

TEXTS, SEED, CHARACTERS, TOKENS = 100, 42, 2000, 512
FINEWEB = ("HuggingFaceFW/fineweb", "sample-10BT")
_BUFFER = 10_000
_BLANK = re.compile(r"\n[^\S\n]*\n\s*")


@dataclass(frozen=True)
class Corpus:
    """Texts as tokens, every token labelled.

    Args:
        name: As it was asked for.
        texts: In the order drawn.
        documents: How many there were to draw from; None where nobody counted.
        too_short: Drawn documents that were left out, for they have a single token.
    """

    name: str
    texts: tuple[Encoded, ...]
    documents: int | None
    too_short: int


def read_corpus(
    name: str,
    tokenizer: PreTrainedTokenizerBase,
    *,
    texts: int = TEXTS,
    seed: int = SEED,
    characters: int = CHARACTERS,
    tokens: int = TOKENS,
) -> Corpus:
    """Draw texts from a corpus.

    The tokenizer's own special tokens are added (a BOS where it has one), as for any raw text.

    Args:
        name: `nano`, documents of the world that the shipped base was pretrained on, from draws that its growing never
            made; `fineweb`, streamed by the package `datasets`; a text file; or a folder of `*.txt`.
        tokenizer: Of the model.
        texts: Most texts to draw; a corpus with fewer gives all.
        seed: Of the draw.
        characters, tokens: Most of each text; no more tokens than the model takes.

    Raises:
        FileError: No such file or folder, or one without a document.
        DataError: A file that is not text (says the byte), or no text of two tokens.
        UsageError: `fineweb` where it cannot be had, or a number below its least.
    """
    if min(texts, characters) < 1 or tokens < 2:
        raise UsageError(
            "a corpus cannot be this small",
            expected="1 text, 1 character, 2 tokens or more",
            found=f"{texts}, {characters}, {tokens}",
        )
    count = None
    if name == "nano":
        from axenic.nano.world import pretraining_document

        # Another name of the generator than any that growing uses, so that these documents were never trained on.
        rng = random.Random(f"corpus/{seed}")
        drawn = [pretraining_document(rng) for _ in range(texts)]
    elif name == "fineweb":
        drawn = _fineweb(texts, seed)
    else:
        found = _documents(Path(name))
        count = len(found)
        drawn = random.Random(seed).sample(found, min(texts, count))
    most = min(tokens, tokenizer.model_max_length)
    encoded = [_encode(tokenizer, text[:characters], most) for text in drawn]
    kept = tuple(text for text in encoded if len(text.input_ids) > 1)
    if not kept:
        raise DataError("no document has two tokens", where=name, found=f"{len(drawn)} documents")
    return Corpus(name, kept, count, len(encoded) - len(kept))


def _encode(tokenizer: PreTrainedTokenizerBase, text: str, most: int) -> Encoded:
    ids: list[int] = list(tokenizer(text, verbose=False)["input_ids"])
    return Encoded(ids[:most], ids[:most], cut=max(0, len(ids) - most))


def _documents(path: Path) -> list[str]:
    """Every document of a file or a folder, in order."""
    if path.is_dir():
        files = sorted(path.glob("*.txt"))
        found = [text for text in map(_text, files) if text]
    elif path.is_file():
        found = [part for part in _BLANK.split(_text(path)) if part]
    else:
        raise FileError(
            "there is no such corpus",
            where=path,
            expected="nano, fineweb, a text file, or a folder of *.txt",
            found="nothing",
        )
    if not found:
        raise FileError(
            "the corpus holds no document",
            where=path,
            expected="*.txt files with text"
            if path.is_dir()
            else "text; documents are separated by blank lines",
            found="nothing",
        )
    return found


def _text(path: Path) -> str:
    """A file's text without blank space around it, newlines as \\n. Raises `DataError` at the byte that is no text."""
    try:
        raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise FileError("cannot read the corpus", where=path, found=error.strerror) from error
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _no_text(
            path, raw, error.start, f"byte 0x{raw[error.start]:02x}, which is not UTF-8"
        ) from error
    if (at := text.find("\0")) >= 0:
        raise _no_text(path, raw, raw.index(b"\0"), f"a NUL at character {at}")
    return text.replace("\r\n", "\n").replace("\r", "\n").strip()


def _no_text(path: Path, raw: bytes, at: int, found: str) -> DataError:
    line = raw.count(b"\n", 0, at) + 1
    return DataError(
        "the file is not text", where=f"{path}:{line}, byte {at}", expected="UTF-8 text", found=found
    )


def _fineweb(texts: int, seed: int) -> list[str]:
    """The published corpus, streamed and shuffled; raises `UsageError` where it cannot be had."""
    hint = "a text file or a folder of *.txt instead: --corpus FILE"
    try:
        datasets = import_module("datasets")
    except ImportError as error:
        raise UsageError(
            "fineweb is read by the package datasets, which is not installed",
            where="--corpus fineweb",
            hint=f"pip install datasets; or {hint}",
        ) from error
    rows: Any
    try:
        stream = datasets.load_dataset(FINEWEB[0], name=FINEWEB[1], split="train", streaming=True)
        rows = list(islice(stream.shuffle(seed=seed, buffer_size=_BUFFER), texts))
    except (OSError, ValueError, RuntimeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UsageError(
            "fineweb cannot be read from here",
            where=FINEWEB[0],
            expected="a machine that reaches the Hugging Face hub",
            found=reason,
            hint=hint,
        ) from error
    return [str(row["text"]) for row in rows]
