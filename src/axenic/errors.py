"""Errors that a user can act on.

Every error that Axenic raises on purpose is an `AxenicError`. The command line prints its text without a
traceback (`--debug` shows it) and exits with `exit_code`. The tree:

    AxenicError                     anything below; exit code 1
    ├── UsageError                  the command or a config value cannot be meant; exit code 2
    ├── DataError                   a row of a chat, question or table file is not what it must be
    ├── FileError                   a file is missing, torn, of another kind, or cannot be written
    │   ├── TornFileError           bytes do not match the manifest, or the file ends early
    │   └── DiskFullError           the disk ran full; finished work is kept
    ├── ModelError                  a model, adapter or tokenizer cannot be used as asked
    │   └── SelfTestError           a hook did not fire, or did not reach every row
    ├── DirectionError              a direction file does not fit the model, or is not usable
    └── CheckpointError             a checkpoint cannot be resumed from
"""

from __future__ import annotations


class AxenicError(Exception):
    """What went wrong, where, what was expected, what was found, and what to type next.

    Args:
        what: One sentence without a final newline.
        where: The file (with `:line`), layer, option or module that the sentence is about.
        expected: What would have been right.
        found: What was there instead.
        hint: A command or an action that gets the user on; printed behind "try:".
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: object = None,
        expected: object = None,
        found: object = None,
        hint: str | None = None,
    ) -> None:
        self.what = what
        self.where = None if where is None else str(where)
        self.expected = None if expected is None else str(expected)
        self.found = None if found is None else str(found)
        self.hint = hint
        super().__init__(self.text())

    def text(self) -> str:
        """The message as printed: one line for each part that is known."""
        parts = (
            ("where", self.where),
            ("expected", self.expected),
            ("found", self.found),
            ("try", self.hint),
        )
        return "\n".join([self.what, *(f"  {name + ':':<10}{value}" for name, value in parts if value)])


class UsageError(AxenicError):
    """The command or a config value cannot be meant as given."""

    exit_code = 2


class DataError(AxenicError):
    """A row of a chat, question or table file is not what it must be."""


class FileError(AxenicError):
    """A file is missing, torn, of another kind, or cannot be written."""


class TornFileError(FileError):
    """The bytes on disk do not match the manifest, or the file ends early."""


class DiskFullError(FileError):
    """The disk ran full. What was finished before is kept; the same command goes on from there."""


class ModelError(AxenicError):
    """A model, an adapter or a tokenizer cannot be used as asked."""


class SelfTestError(ModelError):
    """A hook did not fire as often as it must, or did not reach every row of the batch."""


class DirectionError(AxenicError):
    """A direction does not fit the model, or is not usable (NaN, zero, missing metadata)."""


class CheckpointError(AxenicError):
    """A checkpoint cannot be resumed from."""
