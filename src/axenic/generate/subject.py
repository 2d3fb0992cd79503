"""What the questions are about: topics, with or without subtopics."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from axenic.errors import DataError, FileError, UsageError


@dataclass(frozen=True)
class Subject:
    """One thing to ask about.

    Args:
        topic: Becomes the rows' `topic`: what splits and held-out tests go by.
        subtopic: Narrower; empty for none. P3 has 12 topics of 10 subtopics, P1 181 topics (papers.md 1.1.2, 1.1.3).
    """

    topic: str
    subtopic: str = ""

    @property
    def name(self) -> str:
        return f"{self.topic}: {self.subtopic}" if self.subtopic else self.topic


def parse_subjects(lines: Iterable[str], where: object) -> list[Subject]:
    """`topic` or `topic: subtopic` per line; `#` begins a comment, blank lines are skipped.

    Raises:
        DataError: No subject, one that comes twice, or an empty name.
    """
    subjects: dict[Subject, int] = {}
    for number, line in enumerate(lines, start=1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        topic, colon, subtopic = (part.strip() for part in text.partition(":"))
        subject = Subject(topic, subtopic)
        if not topic or (colon and not subtopic) or not text.isprintable():
            raise DataError(
                "the line names no topic",
                where=f"{where}:{number}",
                expected="topic, or topic: subtopic",
                found=ascii(line)[:80],
            )
        if subject in subjects:
            raise DataError(
                f"the topic {subject.name!a} comes twice",
                where=f"{where}:{number}",
                found=f"first in line {subjects[subject]}",
            )
        subjects[subject] = number
    if not subjects:
        raise DataError(
            "there are no topics", where=where, expected="topic, or topic: subtopic, in each line"
        )
    return list(subjects)


def read_subjects(text: str) -> list[Subject]:
    """The topics of a file of this name, or a list with commas: `sleep,skin: acne`.

    Raises:
        FileError: It looks like a file and there is none. UsageError, DataError: As for `parse_subjects`.
    """
    path = Path(text)
    if "," not in text and (path.is_file() or path.suffix or "/" in text):
        try:
            lines = path.read_text("utf-8-sig").split("\n")
        except (OSError, UnicodeDecodeError) as error:
            raise FileError(
                "the topics cannot be read",
                where=path,
                expected="a text file, topic or topic: subtopic in each line; or names with commas",
                found=error,
            ) from error
        return parse_subjects(lines, path)
    try:
        return parse_subjects(text.split(","), "--topics")
    except DataError as error:
        raise UsageError(
            error.what, where="--topics", expected=error.expected, found=ascii(text)[:80]
        ) from error
