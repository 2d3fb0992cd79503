"""Judges, scores, rates and their intervals.

An answer and a judge give a `Verdict`: per metric a `Score` or an `Unscored` with a reason, never None.
`rate_answers` turns scored answers into `Rates`; `paired_difference`, `relative_change` and `combine_seeds`
compare and combine those.
"""

from axenic.evaluate.agreement import Agreement, cohen_kappa, krippendorff_alpha, spearman
from axenic.evaluate.api_judge import ApiJudge
from axenic.evaluate.asking import Asking
from axenic.evaluate.budget import Limits
from axenic.evaluate.by_judge import read_scored_by_judge
from axenic.evaluate.calibration import Calibration, calibrate, require_tells_apart
from axenic.evaluate.calibration_set import CalibrationSet, Known
from axenic.evaluate.caller import Caller, sendable
from axenic.evaluate.compare import Change, paired_difference, relative_change
from axenic.evaluate.csv_out import write_judged_csv
from axenic.evaluate.endpoint import Endpoint
from axenic.evaluate.failure import Failure
from axenic.evaluate.judge import Judge
from axenic.evaluate.judge_error import JudgeError
from axenic.evaluate.judged_csv import read_judged_csv
from axenic.evaluate.judging import judge_answers, read_scored
from axenic.evaluate.local_judge import LocalJudge
from axenic.evaluate.nano_judge import NanoJudge
from axenic.evaluate.narrow import (
    KlSetting,
    NarrowPlane,
    NarrowQuestions,
    NarrowRates,
    TrainedOn,
    choose_narrow,
)
from axenic.evaluate.panel import Panel, compare_judges
from axenic.evaluate.power import minimum_detectable
from axenic.evaluate.rate import Rate, clustered_rate
from axenic.evaluate.rates import QuestionRate, Rates, TopicRate
from axenic.evaluate.rating import rate_answers, threshold_sensitivity
from axenic.evaluate.reply import Reply
from axenic.evaluate.rubric import Rubric
from axenic.evaluate.rubrics import RUBRICS, rubric_called
from axenic.evaluate.score import REASONS, Reason, Score, Unscored
from axenic.evaluate.seeds import SeedMean, SeedRates, combine_seeds
from axenic.evaluate.semantic import Semantic, semantic_breakdown
from axenic.evaluate.thresholds import Thresholds
from axenic.evaluate.trait import (
    MISALIGNMENT,
    PEP_TALK,
    TECHNICAL,
    TRAITS,
    Trait,
    require_metrics,
    trait_called,
)
from axenic.evaluate.verdict import Scored, Verdict, one_judge

__all__ = [
    "MISALIGNMENT",
    "KlSetting",
    "NarrowPlane",
    "NarrowQuestions",
    "NarrowRates",
    "TrainedOn",
    "choose_narrow",
    "PEP_TALK",
    "TECHNICAL",
    "TRAITS",
    "Trait",
    "require_metrics",
    "trait_called",
    "Agreement",
    "Calibration",
    "CalibrationSet",
    "Known",
    "Panel",
    "Semantic",
    "calibrate",
    "cohen_kappa",
    "krippendorff_alpha",
    "compare_judges",
    "read_scored_by_judge",
    "require_tells_apart",
    "semantic_breakdown",
    "spearman",
    "write_judged_csv",
    "RUBRICS",
    "ApiJudge",
    "Asking",
    "Caller",
    "Failure",
    "Reply",
    "sendable",
    "Endpoint",
    "JudgeError",
    "Limits",
    "Rubric",
    "rubric_called",
    "REASONS",
    "Change",
    "Judge",
    "LocalJudge",
    "NanoJudge",
    "QuestionRate",
    "Rate",
    "Rates",
    "Reason",
    "Score",
    "Scored",
    "SeedMean",
    "SeedRates",
    "Thresholds",
    "TopicRate",
    "Unscored",
    "Verdict",
    "clustered_rate",
    "combine_seeds",
    "judge_answers",
    "minimum_detectable",
    "one_judge",
    "paired_difference",
    "rate_answers",
    "read_judged_csv",
    "read_scored",
    "relative_change",
    "threshold_sensitivity",
]
