"""What was learnt, where, and what switches it off: directions, ablation, steering, transfer.

`extract_direction` takes a direction out of an organism's scored answers; `ablate_direction`, `steer_model`
and `transfer_matrix` intervene with it; `compare` puts directions side by side. Each writes what `axenic
report` draws.
"""

from axenic.interpret.ablate import AblationResult, ablate_direction
from axenic.interpret.about import About
from axenic.interpret.adapters import AdapterReport, dissect_adapters
from axenic.interpret.armresult import ArmResult, RelativeChange, Role
from axenic.interpret.arms import Mode, StrengthUnit
from axenic.interpret.audit import Audit, audit_organism
from axenic.interpret.capability import Cost, arm_costs
from axenic.interpret.compare import CosinePair, CosineTable, compare
from axenic.interpret.contrast import Contrast, aligned_answers, choose_contrast
from axenic.interpret.conversation import Conversation, Span, conversations_of
from axenic.interpret.corpuskl import CorpusSignificance, corpus_significance
from axenic.interpret.downstream import DownstreamResult, compare_downstream
from axenic.interpret.efficiency import Efficiency, compare_efficiency
from axenic.interpret.evaluated import Evaluated, evaluate_model
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.extract import extract_direction
from axenic.interpret.gradient import GradientAlignment, gradient_alignment
from axenic.interpret.groups import AdapterGroup, GroupsResult, default_groups, steer_groups
from axenic.interpret.lens import AdapterLens, adapter_lens
from axenic.interpret.means import Means, Weighting, answer_means
from axenic.interpret.narrow import evaluate_narrow
from axenic.interpret.noise import Noise, noise_stability
from axenic.interpret.onset import Onset, find_onset
from axenic.interpret.patching import PromptPair, pair_prompts, patch_adapters, prompt_scalars
from axenic.interpret.patchresult import PatchResult
from axenic.interpret.pathfile import read_path, read_paths, read_published_path
from axenic.interpret.pathplane import PathPlane, path_plane
from axenic.interpret.phase import PhaseResult, analyse_phase
from axenic.interpret.phrases import Opening, phrase_logprobs, read_openings
from axenic.interpret.probetasks import ProbeTask, probe_tasks
from axenic.interpret.roleresult import RolesResult
from axenic.interpret.roles import adapter_roles
from axenic.interpret.roleseeds import RolesOverSeeds, combine_roles
from axenic.interpret.runpath import RunPath, open_run_path
from axenic.interpret.runphase import RunPhase, phase_of_run
from axenic.interpret.scalarfile import read_scalars, write_scalars
from axenic.interpret.scalars import AdapterScalars, collect_scalars
from axenic.interpret.scaled import ScaledBehaviour, scaled_behaviour
from axenic.interpret.selfcorrection import SelfCorrection, count_corrections, self_correction
from axenic.interpret.separate import Method
from axenic.interpret.setting import Setting
from axenic.interpret.settingsums import Measured
from axenic.interpret.sides import ContrastKind
from axenic.interpret.significance import token_significance
from axenic.interpret.solution import Solution, open_solution, solution_of
from axenic.interpret.steer import Best, SteeringResult, steer_model
from axenic.interpret.tokens import TokenProjections, project_tokens
from axenic.interpret.trainedtexts import trained_texts
from axenic.interpret.transfer import Organism, TransferCell, TransferResult, transfer_matrix
from axenic.interpret.transition import Transition, combine_transitions, find_transition
from axenic.interpret.vectorpath import VectorPath

__all__ = [
    "CorpusSignificance",
    "Efficiency",
    "Measured",
    "Noise",
    "Setting",
    "Solution",
    "compare_efficiency",
    "corpus_significance",
    "noise_stability",
    "open_solution",
    "solution_of",
    "trained_texts",
    "evaluate_narrow",
    "GradientAlignment",
    "gradient_alignment",
    "PathPlane",
    "RunPath",
    "open_run_path",
    "path_plane",
    "TokenProjections",
    "project_tokens",
    "Opening",
    "SelfCorrection",
    "count_corrections",
    "phrase_logprobs",
    "read_openings",
    "self_correction",
    "token_significance",
    "AdapterScalars",
    "collect_scalars",
    "read_scalars",
    "write_scalars",
    "RolesResult",
    "RolesOverSeeds",
    "combine_roles",
    "AdapterGroup",
    "GroupsResult",
    "default_groups",
    "steer_groups",
    "PatchResult",
    "PromptPair",
    "pair_prompts",
    "patch_adapters",
    "prompt_scalars",
    "adapter_roles",
    "ProbeTask",
    "probe_tasks",
    "AdapterLens",
    "adapter_lens",
    "DownstreamResult",
    "compare_downstream",
    "AdapterReport",
    "dissect_adapters",
    "Onset",
    "PhaseResult",
    "RunPhase",
    "ScaledBehaviour",
    "Transition",
    "VectorPath",
    "analyse_phase",
    "combine_transitions",
    "find_onset",
    "find_transition",
    "phase_of_run",
    "read_path",
    "read_paths",
    "read_published_path",
    "AblationResult",
    "About",
    "ArmResult",
    "Audit",
    "Best",
    "Contrast",
    "ContrastKind",
    "Conversation",
    "Cost",
    "CosinePair",
    "CosineTable",
    "Evaluated",
    "Evaluation",
    "Means",
    "Method",
    "Mode",
    "Organism",
    "RelativeChange",
    "Role",
    "Span",
    "SteeringResult",
    "StrengthUnit",
    "TransferCell",
    "TransferResult",
    "Weighting",
    "ablate_direction",
    "aligned_answers",
    "answer_means",
    "arm_costs",
    "audit_organism",
    "choose_contrast",
    "compare",
    "conversations_of",
    "evaluate_model",
    "extract_direction",
    "scaled_behaviour",
    "steer_model",
    "transfer_matrix",
]
