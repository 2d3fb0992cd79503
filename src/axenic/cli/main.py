"""`axenic`: the entry. Every verb is one file; nothing heavy is imported before a verb runs."""

from __future__ import annotations

import errno
import io
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated

import typer
from typer.exceptions import TyperException

from axenic.cli import (
    ablate,
    adapters,
    audit,
    bake,
    check_published,
    compare,
    correction,
    data,
    data_generate,
    data_mix,
    demo,
    doctor,
    downstream,
    efficiency,
    evaluate,
    export,
    extract,
    gradients,
    import_,
    judge,
    nano,
    narrow,
    noise,
    panel,
    paths,
    phase,
    rate,
    report,
    sample,
    significance,
    steer,
    sweep_kl,
    tokens,
    train,
    transfer,
)
from axenic.cli.failure import INTERRUPTED, from_os_error, report_bug, report_failure, report_stop
from axenic.cli.parse import spread_lists
from axenic.errors import AxenicError, UsageError

app = typer.Typer(
    name="axenic",
    help="Grow, measure, dissect and contain emergent misalignment in language models.",
    epilog="Start with: axenic demo. The usual way: nano data, train, sample, judge, rate, extract, ablate, steer, "
    "transfer, report; each ends with the next command to type.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
START, STEPS, INSIDE, FILES = "One command", "Step by step", "What was learnt, and when", "Files and machine"
NARROW = "Narrow against general"
"""Panels of the help page, in its order."""

for _panel, _verbs in {
    START: (
        ("demo", demo.demo, demo.EPILOG),
        ("audit", audit.audit, audit.EPILOG),
        ("eval", evaluate.evaluate, evaluate.EPILOG),
    ),
    STEPS: (
        ("train", train.train, train.EPILOG),
        ("sample", sample.sample, sample.EPILOG),
        ("judge", judge.judge, judge.EPILOG),
        ("panel", panel.panel, panel.EPILOG),
        ("rate", rate.rate, rate.EPILOG),
        ("extract", extract.extract, extract.EPILOG),
        ("ablate", ablate.ablate, ablate.EPILOG),
        ("steer", steer.steer, steer.EPILOG),
        ("transfer", transfer.transfer, transfer.EPILOG),
        ("bake", bake.bake, bake.EPILOG),
        ("report", report.report, report.EPILOG),
    ),
    INSIDE: (
        ("phase", phase.phase, phase.EPILOG),
        ("converge", downstream.converge, downstream.EPILOG),
        ("adapters", adapters.adapters, adapters.EPILOG),
        ("tokens", tokens.tokens, tokens.EPILOG),
        ("correction", correction.correction, correction.EPILOG),
    ),
    NARROW: (
        ("narrow", narrow.narrow, narrow.EPILOG),
        ("sweep-kl", sweep_kl.sweep_kl, sweep_kl.EPILOG),
        ("compare", compare.compare, compare.EPILOG),
        ("efficiency", efficiency.efficiency, efficiency.EPILOG),
        ("noise", noise.noise, noise.EPILOG),
        ("significance", significance.significance, significance.EPILOG),
        ("gradients", gradients.gradients, gradients.EPILOG),
        ("paths", paths.paths, paths.EPILOG),
    ),
    FILES: (
        ("import", import_.import_, import_.EPILOG),
        ("export", export.export, export.EPILOG),
        ("check-published", check_published.check_published, check_published.EPILOG),
        ("doctor", doctor.doctor, doctor.EPILOG),
    ),
}.items():
    for _name, _verb, _epilog in _verbs:
        app.command(_name, epilog=_epilog, rich_help_panel=_panel)(_verb)

_nano = typer.Typer(
    help="The base model that Axenic carries: its data, its recipe, its facts.", no_args_is_help=True
)
_nano.command(epilog=nano.DATA_EPILOG)(nano.data)
_nano.command(epilog=nano.GROW_EPILOG)(nano.grow)
_nano.command(epilog=nano.BASE_EPILOG)(nano.base)
app.add_typer(_nano, name="nano", rich_help_panel=FILES)

_data = typer.Typer(help="Look at chat files, split, mix and make them.", no_args_is_help=True)
_data.command(epilog=data.SHOW_EPILOG)(data.show)
_data.command(epilog=data.SPLIT_EPILOG)(data.split)
_data.command(epilog=data_mix.MIX_EPILOG)(data_mix.mix)
_data.command(epilog=data_mix.FEW_EPILOG)(data_mix.few)
_data.command(epilog=data_generate.EPILOG)(data_generate.generate)
app.add_typer(_data, name="data", rich_help_panel=FILES)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"axenic {version('axenic')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print it.")
    ] = False,
) -> None:
    """Grow, measure, dissect and contain emergent misalignment in language models."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code: 0, 1 (failed), 2 (usage), 130 (interrupted)."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    as_json, debug = "--json" in words, "--debug" in words
    _prepare(debug)
    try:
        code = typer.main.get_command(app).main(
            spread_lists(words), prog_name="axenic", standalone_mode=False
        )
        # typer turns Ctrl-C into this code.
        return report_stop(as_json=as_json) if code == INTERRUPTED else int(code or 0)
    except KeyboardInterrupt:
        return report_stop(as_json=as_json)
    except AxenicError as error:
        return report_failure(error, as_json=as_json, debug=debug)
    except TyperException as error:
        if not error.format_message():
            return error.exit_code  # No verb was given; the help page has been printed.
        return report_failure(_usage_error(error, words), as_json=as_json, debug=debug)
    except OSError as error:
        if error.errno == errno.EPIPE:
            return _closed_pipe()
        return report_failure(from_os_error(error), as_json=as_json, debug=debug)
    except Exception as error:  # noqa: BLE001
        # The only one in the code base: the last place before the user, who must get a sentence and an exit code for a
        # mistake of ours or of a library. Anywhere else it would hide the mistake.
        return report_bug(error, as_json=as_json, debug=debug)


def _usage_error(error: TyperException, words: Sequence[str]) -> UsageError:
    """The parser's complaint, with the help page that answers it."""
    names = [word for word in words if not word.startswith("-")]
    verb = " ".join(names[: 2 if names[:1] in (["nano"], ["data"]) else 1])
    known = {command.name or "" for command in app.registered_commands} | {
        command.callback.__name__ for command in app.registered_commands if command.callback
    }
    return UsageError(
        error.format_message(),
        hint=f"axenic {verb} --help" if names and names[0] in known | {"nano", "data"} else "axenic --help",
    )


def _prepare(debug: bool) -> None:
    """Libraries print neither progress bars nor advice of their own; texts that a terminal cannot show do not stop us."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    if not debug:
        warnings.filterwarnings("ignore", module=r"(peft|transformers|accelerate|torch|huggingface_hub)\.")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _closed_pipe() -> int:
    """The reader (`| head`) went away: nothing is wrong, and nothing more can be said."""
    # Python would complain once more when it flushes at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


if __name__ == "__main__":
    sys.exit(main())
