"""How a command that failed says so: text for people, one JSON object for programs, and the exit code."""

from __future__ import annotations

import errno
import json
import sys
import traceback
from typing import Any

from axenic.errors import AxenicError, DiskFullError, FileError
from axenic.visible import visible

INTERRUPTED = 130
STOPPED = "stopped; finished work is kept; run the same command again to go on"

_FULL = (errno.ENOSPC, errno.EDQUOT)


def report_failure(error: AxenicError, *, as_json: bool, debug: bool) -> int:
    """Print an error and return its exit code."""
    if debug:
        print(visible("".join(traceback.format_exception(error))), file=sys.stderr)
    if as_json:
        _print_json(type(error).__name__, error, error.exit_code)
    else:
        print(f"error: {visible(error.text())}", file=sys.stderr, flush=True)
    return error.exit_code


def report_stop(*, as_json: bool) -> int:
    """Say that Ctrl-C stopped the command."""
    if as_json:
        _print_json("Interrupted", AxenicError(STOPPED), INTERRUPTED)
    else:
        print(f"\n{STOPPED}", file=sys.stderr, flush=True)
    return INTERRUPTED


def report_bug(error: Exception, *, as_json: bool, debug: bool) -> int:
    """Say that something happened that Axenic did not foresee."""
    said = str(error).strip().splitlines()
    short = AxenicError(
        f"unexpected {type(error).__name__}: {said[0][:300] if said else 'no message'}",
        hint="the same command with --debug, which shows where it happened",
    )
    short.__cause__ = error
    return report_failure(short, as_json=as_json, debug=debug)


def from_os_error(error: OSError) -> AxenicError:
    """A full disk by its own name; anything else that the system refused as a `FileError`."""
    if error.errno in _FULL:
        failure: AxenicError = DiskFullError(
            "the disk is full; what was finished before is kept",
            where=error.filename,
            hint="free some space and run the same command again: it goes on where it stopped",
        )
    else:
        failure = FileError(
            f"the system refused: {(error.strerror or str(error) or type(error).__name__).lower()}",
            where=error.filename,
        )
    failure.__cause__ = error
    return failure


def _print_json(kind: str, error: AxenicError, exit_code: int) -> None:
    envelope: dict[str, Any] = {
        "kind": kind,
        "what": error.what,
        "where": error.where,
        "expected": error.expected,
        "found": error.found,
        "hint": error.hint,
        "exit_code": exit_code,
    }
    print(json.dumps({"error": envelope}), flush=True)
