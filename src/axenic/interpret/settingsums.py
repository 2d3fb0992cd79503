"""What has been measured of each setting and text, in memory and in a table, so that a kill loses one batch at most."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from axenic.data import IGNORE, Encoded
from axenic.errors import DataError
from axenic.files import Table, content_id
from axenic.interpret.setting import Setting
from axenic.interpret.textbatch import Reduced
from axenic.models import OpenModel
from axenic.progress import Progress

Floats = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Measured:
    """Sums over each text's tokens [nats].

    Attributes:
        nll_NK: Loss of each setting on the labelled tokens.
        base_nll_N: The same of the base model.
        tokens_N: Labelled tokens; the first token of a text has no loss and never counts.
        kl_NK: KL(base || setting) over all tokens of the text; None if it was not asked for.
        kl_tokens_N: Tokens of the text.
    """

    nll_NK: Floats
    base_nll_N: Floats
    tokens_N: Counts
    kl_NK: Floats | None
    kl_tokens_N: Counts


class SettingSums:
    """What has been measured, by (setting, text).

    Args:
        base: The base model; its weights and dtype are part of each line's id.
        settings: In the order of the result; the base model is always measured too.
        texts: In the order of the result.
        kl: Whether KL is measured too; a line without it is not one with it.
        out: The table; None keeps the sums in memory only.
        progress: Told of every batch.

    Raises:
        DataError: A damaged line of `out`.
    """

    def __init__(
        self,
        base: OpenModel,
        settings: Sequence[Setting],
        texts: Sequence[Encoded],
        kl: bool,
        out: Path | None,
        progress: Progress,
    ) -> None:
        self.texts, self.kl = texts, kl
        self._settings = settings
        # Twice the same setting or text is measured once.
        self._distinct = {setting.id: setting for setting in settings if not setting.is_base}
        self._model = [base.identity.base, str(base.dtype), kl]
        self._text_ids = [content_id([text.input_ids, text.labels]) for text in texts]
        self._ids: dict[tuple[str, int], str] = {}
        self._table = None if out is None else Table(out)
        self._known: dict[str, tuple[float, float | None]] = {}
        for row in self._table.rows() if self._table is not None else ():
            self._known[row["id"]] = _sums_of(row, out)
        self._progress = progress
        self._todo = sum(
            self._id(name, row) not in self._known for name in self._names() for row in range(len(texts))
        )
        self._done = 0

    def open_settings(self, work: Sequence[Sequence[int]]) -> list[Setting]:
        """The settings of which something is missing; never the base itself."""
        return [
            setting
            for setting in self._distinct.values()
            if any(self._lacks(setting.id, rows) for rows in work)
        ]

    def missing(self, rows: Sequence[int]) -> bool:
        """Whether anything about these texts is not known."""
        return any(self._lacks(name, rows) for name in self._names())

    def add(self, settings: Sequence[Setting] | None, rows: Sequence[int], found: Reduced) -> None:
        """Take in what settings (None: the base) gave on these texts."""
        names = ["base"] if settings is None else [setting.id for setting in settings]
        fresh: dict[str, dict[str, Any]] = {}
        for k, name in enumerate(names):
            for b, row in enumerate(rows):
                key = self._id(name, row)
                if key in self._known or key in fresh:
                    continue
                kl = None if found.kl_kB is None else float(found.kl_kB[k, b])
                nll = float(found.nll_kB[k, b])
                if not math.isfinite(nll) or (kl is not None and not math.isfinite(kl)):
                    raise DataError(
                        "a loss is not finite",
                        where=f"setting {name}, text {row}",
                        expected="a number",
                        found=f"loss {nll}, KL {kl}",
                        hint="--dtype float32, or a smaller scale",
                    )
                fresh[key] = {"id": key, "setting": name, "text": self._text_ids[row], "nll": nll, "kl": kl}
        self._known.update((key, (line["nll"], line["kl"])) for key, line in fresh.items())
        if self._table is not None:
            self._table.append(fresh.values())
        self._done += len(fresh)
        self._progress("measure", min(self._done, self._todo), self._todo, "loss")

    def result(self) -> Measured:
        """Everything, in the order of settings and texts."""
        texts = range(len(self.texts))
        base = [self._known[self._id("base", row)][0] for row in texts]
        nll_NK = np.empty((len(self.texts), len(self._settings)))
        kl_NK = np.zeros_like(nll_NK)
        for k, setting in enumerate(self._settings):
            for row in texts:
                nll, kl = (base[row], 0.0) if setting.is_base else self._known[self._id(setting.id, row)]
                nll_NK[row, k], kl_NK[row, k] = nll, 0.0 if kl is None else kl
        tokens = [sum(label != IGNORE for label in text.labels[1:]) for text in self.texts]
        lengths = [len(text.input_ids) for text in self.texts]
        return Measured(
            nll_NK,
            np.array(base),
            np.array(tokens, dtype=np.int64),
            kl_NK if self.kl else None,
            np.array(lengths, dtype=np.int64),
        )

    def _names(self) -> list[str]:
        return ["base", *self._distinct]

    def _lacks(self, name: str, rows: Sequence[int]) -> bool:
        return any(self._id(name, row) not in self._known for row in rows)

    def _id(self, name: str, row: int) -> str:
        key = (name, row)
        if key not in self._ids:
            self._ids[key] = content_id([*self._model, name, self._text_ids[row]])
        return self._ids[key]


def _sums_of(row: dict[str, Any], path: Path | None) -> tuple[float, float | None]:
    nll, kl = row.get("nll"), row.get("kl")
    if not isinstance(nll, int | float) or not (kl is None or isinstance(kl, int | float)):
        raise DataError(
            "a line is no measurement",
            where=f"{path}, id {row['id']}",
            expected="numbers `nll` and `kl`",
            found=f"{nll!r} and {kl!r}",
            hint="delete the line: it is then measured again",
        )
    return float(nll), None if kl is None else float(kl)
