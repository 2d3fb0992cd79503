"""Get answers out of models, with or without interventions."""

from axenic.sample.answers import arms_path, default_sampling, sample_answers
from axenic.sample.groups import QuestionGroup, read_groups
from axenic.sample.questionfile import QuestionItem, read_question_items
from axenic.sample.questions import read_questions
from axenic.sample.records import Answer, Question, Sampling, read_answers

__all__ = [
    "Answer",
    "Question",
    "QuestionGroup",
    "QuestionItem",
    "Sampling",
    "arms_path",
    "default_sampling",
    "read_answers",
    "read_groups",
    "read_question_items",
    "read_questions",
    "sample_answers",
]
