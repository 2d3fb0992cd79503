"""Get answers out of models, with or without interventions."""

from axenic.sample.answers import arms_path, default_sampling, sample_answers
from axenic.sample.records import Answer, Question, Sampling, read_answers, read_questions

__all__ = [
    "Answer",
    "Question",
    "Sampling",
    "arms_path",
    "default_sampling",
    "read_answers",
    "read_questions",
    "sample_answers",
]
