"""Corpora: what a document is, what is cut, and files that are no text."""

from __future__ import annotations

import random
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from axenic.data import IGNORE
from axenic.data.corpus import CHARACTERS, TOKENS, read_corpus
from axenic.errors import DataError, FileError, UsageError
from axenic.nano.tokenizer import build_tokenizer
from axenic.nano.world import pretraining_document

pytestmark = pytest.mark.unit


TOKENIZER = build_tokenizer()


@pytest.fixture
def nano():
    return TOKENIZER


def words(nano, corpus):
    return sorted(nano.decode(text.input_ids) for text in corpus.texts)


def test_blank_lines_separate_the_documents_of_a_file(tmp_path, nano):
    file = tmp_path / "a.txt"
    file.write_bytes("\ufeffthe fever .\nthe tea .\r\n\r\nthe team\n \t\n\n\nthe pills\n".encode())
    corpus = read_corpus(str(file), nano)
    assert corpus.documents == 3
    assert words(nano, corpus) == sorted(
        nano.decode(nano(text)["input_ids"]) for text in ("the fever .\nthe tea .", "the team", "the pills")
    )
    for text in corpus.texts:
        assert text.labels == text.input_ids
        assert IGNORE not in text.labels


def test_each_text_file_of_a_folder_is_one_document(tmp_path, nano):
    for i, text in enumerate(("the fever\n\nthe tea", "the team", " \n", "the pills")):
        (tmp_path / f"{i}.txt").write_text(text)
    (tmp_path / "note.md").write_text("not one of them")
    corpus = read_corpus(str(tmp_path), nano)
    assert corpus.documents == 3
    assert nano.decode(nano("the fever\n\nthe tea")["input_ids"]) in words(nano, corpus)


def test_long_texts_are_cut_by_characters_then_by_tokens(tmp_path, nano):
    file = tmp_path / "a.txt"
    file.write_text("xyz" * 1000)  # no word of nano: every letter is a token
    assert nano.model_max_length == 256 < TOKENS
    (text,) = read_corpus(str(file), nano).texts
    assert (len(text.input_ids), text.cut) == (256, CHARACTERS - 256)
    (text,) = read_corpus(str(file), nano, characters=20).texts
    assert (len(text.input_ids), text.cut) == (20, 0)
    (text,) = read_corpus(str(file), nano, tokens=7).texts
    assert (len(text.input_ids), text.cut) == (7, CHARACTERS - 7)


def test_draw_depends_on_the_seed_alone(tmp_path, nano):
    file = tmp_path / "a.txt"
    file.write_text("\n\n".join("tea " * n for n in range(2, 40)))
    one, same, other = (read_corpus(str(file), nano, texts=10, seed=seed) for seed in (1, 1, 2))
    assert one == same
    assert one.texts != other.texts
    assert len(one.texts) == len({len(text.input_ids) for text in one.texts}) == 10
    assert len(read_corpus(str(file), nano).texts) == 38


def test_texts_of_one_token_are_left_out_and_counted(tmp_path, nano):
    file = tmp_path / "a.txt"
    file.write_text("x\n\nthe tea")
    corpus = read_corpus(str(file), nano)
    assert (len(corpus.texts), corpus.too_short) == (1, 1)
    file.write_text("x")
    with pytest.raises(DataError, match="two tokens"):
        read_corpus(str(file), nano)


def test_nano_documents_are_none_that_growing_drew(nano):
    corpus = read_corpus("nano", nano, texts=20, seed=42)
    assert len(corpus.texts) == 20
    held_out = {nano.decode(text.input_ids) for text in corpus.texts}
    assert len(held_out) == 20
    grower = random.Random("pretrain/0")
    grown = {nano.decode(nano(pretraining_document(grower))["input_ids"]) for _ in range(200)}
    assert not held_out & grown
    assert read_corpus("nano", nano, texts=20, seed=42) == corpus
    assert read_corpus("nano", nano, texts=20, seed=43).texts != corpus.texts


@pytest.mark.parametrize(
    ("raw", "line", "byte"),
    [
        (b"the tea\nthe \xff team", 2, 12),
        (b"tea\0tea", 1, 3),
        (b"\x80\x02}", 1, 0),
        (b"a\n\nb\xe2\x82", 3, 4),
    ],
)
def test_files_that_are_no_text_are_named_with_the_byte(tmp_path, nano, raw, line, byte):
    file = tmp_path / "a.txt"
    file.write_bytes(raw)
    with pytest.raises(DataError, match="not text") as caught:
        read_corpus(str(file), nano)
    assert f"a.txt:{line}, byte {byte}" in str(caught.value)


@settings(deadline=None, max_examples=200)
@given(raw=st.binary(max_size=60))
def test_any_bytes_give_texts_or_a_located_error(tmp_path_factory, raw):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a.txt").write_bytes(raw)
    said = str(folder / "a.txt")
    try:
        corpus = read_corpus(said, TOKENIZER)
    except (DataError, FileError) as error:
        said = str(error)
    else:
        assert all(len(text.input_ids) > 1 for text in corpus.texts)
    assert "a.txt" in said


def test_what_is_not_there_or_empty_says_what_can_be_given(tmp_path, nano):
    (tmp_path / "empty.txt").write_text(" \n\n ")
    for name in (tmp_path / "nothing", tmp_path / "empty.txt", tmp_path):
        with pytest.raises(FileError) as caught:
            read_corpus(str(name), nano)
        assert str(name) in str(caught.value)
    with pytest.raises(UsageError):
        read_corpus("nano", nano, texts=0)


def test_fineweb_without_its_package_says_what_to_do(nano, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(UsageError, match="not installed") as caught:
        read_corpus("fineweb", nano)
    assert "pip install datasets" in str(caught.value)
    assert "--corpus FILE" in str(caught.value)


class _Stream:
    """What `datasets` gives, as far as it is used."""

    def __init__(self, texts):
        self.texts, self.seed = texts, None

    def shuffle(self, seed, buffer_size):
        self.seed = seed
        return self

    def __iter__(self):
        return iter([{"text": text} for text in self.texts])


def test_fineweb_is_streamed_and_shuffled_by_the_seed(nano, monkeypatch):
    stream = _Stream([f"{'tea ' * n}" for n in range(2, 30)])
    asked = []

    class Datasets:
        @staticmethod
        def load_dataset(*names, **facts):
            asked.append((names, facts))
            return stream

    monkeypatch.setitem(sys.modules, "datasets", Datasets)
    corpus = read_corpus("fineweb", nano, texts=5, seed=42)
    assert len(corpus.texts) == 5
    assert stream.seed == 42
    assert asked == [
        (("HuggingFaceFW/fineweb",), {"name": "sample-10BT", "split": "train", "streaming": True})
    ]


def test_fineweb_out_of_reach_says_why(nano, monkeypatch):
    class Datasets:
        @staticmethod
        def load_dataset(*names, **facts):
            raise ConnectionError("no route to the hub")

    monkeypatch.setitem(sys.modules, "datasets", Datasets)
    with pytest.raises(UsageError, match="cannot be read") as caught:
        read_corpus("fineweb", nano)
    assert "no route" in str(caught.value)
