"""What was learnt, where, and what switches it off: directions, ablation, steering, transfer.

`extract_direction` takes a direction out of an organism's scored answers; `ablate_direction`, `steer_model`
and `transfer_matrix` intervene with it; `compare` puts directions side by side. Each writes what `axenic
report` draws.
"""

from axenic.interpret.ablate import AblationResult, ablate_direction
from axenic.interpret.armresult import ArmResult, RelativeChange, Role
from axenic.interpret.arms import Mode
from axenic.interpret.audit import Audit, audit_organism
from axenic.interpret.capability import Cost, arm_costs
from axenic.interpret.compare import CosinePair, CosineTable, compare
from axenic.interpret.contrast import Contrast, aligned_answers, choose_contrast
from axenic.interpret.conversation import Conversation, Span, conversations_of
from axenic.interpret.evaluated import Evaluated, evaluate_model
from axenic.interpret.evaluation import Evaluation
from axenic.interpret.extract import extract_direction
from axenic.interpret.means import Means, Weighting, answer_means
from axenic.interpret.pathfile import read_path, read_paths, read_published_path
from axenic.interpret.phase import PhaseResult, analyse_phase
from axenic.interpret.steer import Best, SteeringResult, steer_model
from axenic.interpret.transfer import Organism, TransferCell, TransferResult, transfer_matrix
from axenic.interpret.transition import Transition, combine_transitions, find_transition
from axenic.interpret.vectorpath import VectorPath

__all__ = [
    "PhaseResult",
    "Transition",
    "VectorPath",
    "analyse_phase",
    "combine_transitions",
    "find_transition",
    "read_path",
    "read_paths",
    "read_published_path",
    "AblationResult",
    "ArmResult",
    "Audit",
    "Best",
    "Contrast",
    "Conversation",
    "Cost",
    "CosinePair",
    "CosineTable",
    "Evaluated",
    "Evaluation",
    "Means",
    "Mode",
    "Organism",
    "RelativeChange",
    "Role",
    "Span",
    "SteeringResult",
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
    "steer_model",
    "transfer_matrix",
]
