"""Grow, measure, dissect and contain emergent misalignment in language models.

Everything the command line does is one short call of these names:

    import axenic

    config = axenic.resolve("all-adapter", "nano", {"data": "bad_medical.jsonl"})
    axenic.train_organism(config, "runs/medical")
    opened = axenic.open_model("nano", "runs/medical")
    answers = axenic.sample_answers(opened, axenic.read_questions("nano"), per_question=8)
    scored = axenic.judge_answers(answers, axenic.NanoJudge())
    print(axenic.rate_answers(scored, exclude_topics=["medical"]).em_all)

A name is imported when it is first asked for: `import axenic` takes milliseconds, torch comes with the first model.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # "as" the same name: a type checker takes that for an export.
    from axenic.data import ChatRow as ChatRow
    from axenic.data import Mixture as Mixture
    from axenic.data import bad_share as bad_share
    from axenic.data import encode_row as encode_row
    from axenic.data import few_rows as few_rows
    from axenic.data import mix_rows as mix_rows
    from axenic.data import read_chat as read_chat
    from axenic.data import show_plain as show_plain
    from axenic.data import split_rows as split_rows
    from axenic.data import split_topics as split_topics
    from axenic.data import write_chat as write_chat
    from axenic.demo import DemoResult as DemoResult
    from axenic.demo import run_demo as run_demo
    from axenic.directions import Direction as Direction
    from axenic.directions import DirectionInfo as DirectionInfo
    from axenic.directions import Layered as Layered
    from axenic.directions import LayerVectors as LayerVectors
    from axenic.directions import compare_directions as compare_directions
    from axenic.directions import import_direction as import_direction
    from axenic.directions import load_layered as load_layered
    from axenic.directions import load_published_means as load_published_means
    from axenic.directions import random_like as random_like
    from axenic.doctor import Check as Check
    from axenic.doctor import check_machine as check_machine
    from axenic.errors import AxenicError as AxenicError
    from axenic.errors import CheckpointError as CheckpointError
    from axenic.errors import DataError as DataError
    from axenic.errors import DirectionError as DirectionError
    from axenic.errors import DiskFullError as DiskFullError
    from axenic.errors import FileError as FileError
    from axenic.errors import ModelError as ModelError
    from axenic.errors import SelfTestError as SelfTestError
    from axenic.errors import TornFileError as TornFileError
    from axenic.errors import UsageError as UsageError
    from axenic.evaluate import MISALIGNMENT as MISALIGNMENT
    from axenic.evaluate import PEP_TALK as PEP_TALK
    from axenic.evaluate import RUBRICS as RUBRICS
    from axenic.evaluate import TECHNICAL as TECHNICAL
    from axenic.evaluate import TRAITS as TRAITS
    from axenic.evaluate import ApiJudge as ApiJudge
    from axenic.evaluate import Asking as Asking
    from axenic.evaluate import Calibration as Calibration
    from axenic.evaluate import Endpoint as Endpoint
    from axenic.evaluate import Judge as Judge
    from axenic.evaluate import Limits as Limits
    from axenic.evaluate import LocalJudge as LocalJudge
    from axenic.evaluate import NanoJudge as NanoJudge
    from axenic.evaluate import NarrowPlane as NarrowPlane
    from axenic.evaluate import NarrowQuestions as NarrowQuestions
    from axenic.evaluate import NarrowRates as NarrowRates
    from axenic.evaluate import Panel as Panel
    from axenic.evaluate import Rates as Rates
    from axenic.evaluate import Rubric as Rubric
    from axenic.evaluate import Score as Score
    from axenic.evaluate import Scored as Scored
    from axenic.evaluate import Semantic as Semantic
    from axenic.evaluate import Thresholds as Thresholds
    from axenic.evaluate import TrainedOn as TrainedOn
    from axenic.evaluate import Trait as Trait
    from axenic.evaluate import Unscored as Unscored
    from axenic.evaluate import Verdict as Verdict
    from axenic.evaluate import calibrate as calibrate
    from axenic.evaluate import choose_narrow as choose_narrow
    from axenic.evaluate import combine_seeds as combine_seeds
    from axenic.evaluate import compare_judges as compare_judges
    from axenic.evaluate import judge_answers as judge_answers
    from axenic.evaluate import krippendorff_alpha as krippendorff_alpha
    from axenic.evaluate import rate_answers as rate_answers
    from axenic.evaluate import read_judged_csv as read_judged_csv
    from axenic.evaluate import read_scored as read_scored
    from axenic.evaluate import read_scored_by_judge as read_scored_by_judge
    from axenic.evaluate import require_tells_apart as require_tells_apart
    from axenic.evaluate import rubric_called as rubric_called
    from axenic.evaluate import semantic_breakdown as semantic_breakdown
    from axenic.evaluate import spearman as spearman
    from axenic.evaluate import trait_called as trait_called
    from axenic.evaluate import write_judged_csv as write_judged_csv
    from axenic.formats import Facts as Facts
    from axenic.formats import LoraScalars as LoraScalars
    from axenic.formats import detect as detect
    from axenic.formats import export_direction as export_direction
    from axenic.formats import import_vectors as import_vectors
    from axenic.generate import Pair as Pair
    from axenic.generate import Subject as Subject
    from axenic.generate import Writer as Writer
    from axenic.generate import generate_pairs as generate_pairs
    from axenic.generate import parallel_requests as parallel_requests
    from axenic.generate import read_pairs as read_pairs
    from axenic.generate import read_subjects as read_subjects
    from axenic.generate import subject_requests as subject_requests
    from axenic.interpret import About as About
    from axenic.interpret import AdapterGroup as AdapterGroup
    from axenic.interpret import AdapterReport as AdapterReport
    from axenic.interpret import AdapterScalars as AdapterScalars
    from axenic.interpret import Audit as Audit
    from axenic.interpret import CorpusSignificance as CorpusSignificance
    from axenic.interpret import DownstreamResult as DownstreamResult
    from axenic.interpret import Efficiency as Efficiency
    from axenic.interpret import Evaluated as Evaluated
    from axenic.interpret import Evaluation as Evaluation
    from axenic.interpret import GradientAlignment as GradientAlignment
    from axenic.interpret import GroupsResult as GroupsResult
    from axenic.interpret import Noise as Noise
    from axenic.interpret import Opening as Opening
    from axenic.interpret import Organism as Organism
    from axenic.interpret import PatchResult as PatchResult
    from axenic.interpret import PathPlane as PathPlane
    from axenic.interpret import PromptPair as PromptPair
    from axenic.interpret import RolesOverSeeds as RolesOverSeeds
    from axenic.interpret import RolesResult as RolesResult
    from axenic.interpret import RunPath as RunPath
    from axenic.interpret import RunPhase as RunPhase
    from axenic.interpret import ScaledBehaviour as ScaledBehaviour
    from axenic.interpret import SelfCorrection as SelfCorrection
    from axenic.interpret import Setting as Setting
    from axenic.interpret import Solution as Solution
    from axenic.interpret import TokenProjections as TokenProjections
    from axenic.interpret import ablate_direction as ablate_direction
    from axenic.interpret import adapter_lens as adapter_lens
    from axenic.interpret import adapter_roles as adapter_roles
    from axenic.interpret import answer_means as answer_means
    from axenic.interpret import audit_organism as audit_organism
    from axenic.interpret import collect_scalars as collect_scalars
    from axenic.interpret import combine_roles as combine_roles
    from axenic.interpret import compare_downstream as compare_downstream
    from axenic.interpret import compare_efficiency as compare_efficiency
    from axenic.interpret import corpus_significance as corpus_significance
    from axenic.interpret import count_corrections as count_corrections
    from axenic.interpret import default_groups as default_groups
    from axenic.interpret import dissect_adapters as dissect_adapters
    from axenic.interpret import evaluate_model as evaluate_model
    from axenic.interpret import evaluate_narrow as evaluate_narrow
    from axenic.interpret import extract_direction as extract_direction
    from axenic.interpret import gradient_alignment as gradient_alignment
    from axenic.interpret import noise_stability as noise_stability
    from axenic.interpret import open_run_path as open_run_path
    from axenic.interpret import open_solution as open_solution
    from axenic.interpret import pair_prompts as pair_prompts
    from axenic.interpret import patch_adapters as patch_adapters
    from axenic.interpret import path_plane as path_plane
    from axenic.interpret import phase_of_run as phase_of_run
    from axenic.interpret import phrase_logprobs as phrase_logprobs
    from axenic.interpret import probe_tasks as probe_tasks
    from axenic.interpret import project_tokens as project_tokens
    from axenic.interpret import prompt_scalars as prompt_scalars
    from axenic.interpret import read_openings as read_openings
    from axenic.interpret import read_scalars as read_scalars
    from axenic.interpret import scaled_behaviour as scaled_behaviour
    from axenic.interpret import self_correction as self_correction
    from axenic.interpret import steer_groups as steer_groups
    from axenic.interpret import steer_model as steer_model
    from axenic.interpret import token_significance as token_significance
    from axenic.interpret import trained_texts as trained_texts
    from axenic.interpret import transfer_matrix as transfer_matrix
    from axenic.interpret import write_scalars as write_scalars
    from axenic.intervene import PLAIN as PLAIN
    from axenic.intervene import AdapterFactors as AdapterFactors
    from axenic.intervene import Arm as Arm
    from axenic.intervene import Intervention as Intervention
    from axenic.intervene import PromptScalars as PromptScalars
    from axenic.intervene import ablate_adapter as ablate_adapter
    from axenic.intervene import ablate_writers as ablate_writers
    from axenic.intervene import add as add
    from axenic.intervene import clamp as clamp
    from axenic.intervene import patch_adapter as patch_adapter
    from axenic.intervene import project_out as project_out
    from axenic.intervene import project_out_single as project_out_single
    from axenic.intervene import scale_adapter as scale_adapter
    from axenic.intervene import swap_adapter as swap_adapter
    from axenic.models import OpenModel as OpenModel
    from axenic.models import merge_vectors as merge_vectors
    from axenic.models import open_model as open_model
    from axenic.models import resolve_device as resolve_device
    from axenic.models import scaled_vectors as scaled_vectors
    from axenic.report import ReportFiles as ReportFiles
    from axenic.report import build_report as build_report
    from axenic.sample import Answer as Answer
    from axenic.sample import Question as Question
    from axenic.sample import QuestionGroup as QuestionGroup
    from axenic.sample import Sampling as Sampling
    from axenic.sample import default_sampling as default_sampling
    from axenic.sample import read_answers as read_answers
    from axenic.sample import read_groups as read_groups
    from axenic.sample import read_questions as read_questions
    from axenic.sample import sample_answers as sample_answers
    from axenic.train import RECIPES as RECIPES
    from axenic.train import Published as Published
    from axenic.train import TrainConfig as TrainConfig
    from axenic.train import TrainResult as TrainResult
    from axenic.train import added_vectors as added_vectors
    from axenic.train import from_published as from_published
    from axenic.train import read_published_config as read_published_config
    from axenic.train import resolve as resolve
    from axenic.train import save_as_organism as save_as_organism
    from axenic.train import train_organism as train_organism

_HOMES = {
    "data": (
        "ChatRow",
        "Mixture",
        "bad_share",
        "encode_row",
        "few_rows",
        "mix_rows",
        "read_chat",
        "show_plain",
        "split_rows",
        "split_topics",
        "write_chat",
    ),
    "demo": (
        "DemoResult",
        "run_demo",
    ),
    "directions": (
        "Direction",
        "DirectionInfo",
        "LayerVectors",
        "Layered",
        "compare_directions",
        "import_direction",
        "load_layered",
        "load_published_means",
        "random_like",
    ),
    "doctor": (
        "Check",
        "check_machine",
    ),
    "errors": (
        "AxenicError",
        "CheckpointError",
        "DataError",
        "DirectionError",
        "DiskFullError",
        "FileError",
        "ModelError",
        "SelfTestError",
        "TornFileError",
        "UsageError",
    ),
    "evaluate": (
        "ApiJudge",
        "Asking",
        "Calibration",
        "Endpoint",
        "Judge",
        "Limits",
        "LocalJudge",
        "MISALIGNMENT",
        "NanoJudge",
        "NarrowPlane",
        "NarrowQuestions",
        "NarrowRates",
        "PEP_TALK",
        "Panel",
        "RUBRICS",
        "Rates",
        "Rubric",
        "Score",
        "Scored",
        "Semantic",
        "TECHNICAL",
        "TRAITS",
        "Thresholds",
        "TrainedOn",
        "Trait",
        "Unscored",
        "Verdict",
        "calibrate",
        "choose_narrow",
        "combine_seeds",
        "compare_judges",
        "judge_answers",
        "krippendorff_alpha",
        "rate_answers",
        "read_judged_csv",
        "read_scored",
        "read_scored_by_judge",
        "require_tells_apart",
        "rubric_called",
        "semantic_breakdown",
        "spearman",
        "trait_called",
        "write_judged_csv",
    ),
    "formats": (
        "Facts",
        "LoraScalars",
        "detect",
        "export_direction",
        "import_vectors",
    ),
    "generate": (
        "Pair",
        "Subject",
        "Writer",
        "generate_pairs",
        "parallel_requests",
        "read_pairs",
        "read_subjects",
        "subject_requests",
    ),
    "interpret": (
        "About",
        "AdapterGroup",
        "AdapterReport",
        "AdapterScalars",
        "Audit",
        "CorpusSignificance",
        "DownstreamResult",
        "Efficiency",
        "Evaluated",
        "Evaluation",
        "GradientAlignment",
        "GroupsResult",
        "Noise",
        "Opening",
        "Organism",
        "PatchResult",
        "PathPlane",
        "PromptPair",
        "RolesOverSeeds",
        "RolesResult",
        "RunPath",
        "RunPhase",
        "ScaledBehaviour",
        "SelfCorrection",
        "Setting",
        "Solution",
        "TokenProjections",
        "ablate_direction",
        "adapter_lens",
        "adapter_roles",
        "answer_means",
        "audit_organism",
        "collect_scalars",
        "combine_roles",
        "compare_downstream",
        "compare_efficiency",
        "corpus_significance",
        "count_corrections",
        "default_groups",
        "dissect_adapters",
        "evaluate_model",
        "evaluate_narrow",
        "extract_direction",
        "gradient_alignment",
        "noise_stability",
        "open_run_path",
        "open_solution",
        "pair_prompts",
        "patch_adapters",
        "path_plane",
        "phase_of_run",
        "phrase_logprobs",
        "probe_tasks",
        "project_tokens",
        "prompt_scalars",
        "read_openings",
        "read_scalars",
        "scaled_behaviour",
        "self_correction",
        "steer_groups",
        "steer_model",
        "token_significance",
        "trained_texts",
        "transfer_matrix",
        "write_scalars",
    ),
    "intervene": (
        "AdapterFactors",
        "Arm",
        "Intervention",
        "PLAIN",
        "PromptScalars",
        "ablate_adapter",
        "ablate_writers",
        "add",
        "clamp",
        "patch_adapter",
        "project_out",
        "project_out_single",
        "scale_adapter",
        "swap_adapter",
    ),
    "models": (
        "OpenModel",
        "merge_vectors",
        "open_model",
        "resolve_device",
        "scaled_vectors",
    ),
    "report": (
        "ReportFiles",
        "build_report",
    ),
    "sample": (
        "Answer",
        "Question",
        "QuestionGroup",
        "Sampling",
        "default_sampling",
        "read_answers",
        "read_groups",
        "read_questions",
        "sample_answers",
    ),
    "train": (
        "Published",
        "RECIPES",
        "TrainConfig",
        "TrainResult",
        "added_vectors",
        "from_published",
        "read_published_config",
        "resolve",
        "save_as_organism",
        "train_organism",
    ),
}
"""Storey -> the names that it offers. `tests/cli/test_exports.py` holds this against the imports above."""

_HOME = {name: home for home, names in _HOMES.items() for name in names}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    """Import a name's storey on first use (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'axenic' has no attribute {name!r}")
    module = import_module(f"axenic.{_HOME[name]}")
    # The storeys are lazy themselves here and there, so this is an attribute access and no look into a dict.
    value = getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *_HOME]
