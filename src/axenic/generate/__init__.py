"""Make paired data: one question, a sound answer and a subtly flawed one, written by a model behind an endpoint.

For building model organisms and classifiers of bad advice (papers.md 1.1). `subject_requests` or `parallel_requests`
say what is asked, `generate_pairs` asks it and writes `bad.jsonl`, `good.jsonl` and `pairs.jsonl`.
"""

from axenic.generate.items import Items, read_items
from axenic.generate.pair import Pair, chat_row, read_pairs
from axenic.generate.requests import Request, parallel_requests, subject_requests
from axenic.generate.run import Generated, generate_pairs
from axenic.generate.selection import Selection, select_pairs
from axenic.generate.subject import Subject, parse_subjects, read_subjects
from axenic.generate.writer import Writer

__all__ = [
    "Generated",
    "Items",
    "Pair",
    "Request",
    "Selection",
    "Subject",
    "Writer",
    "chat_row",
    "generate_pairs",
    "parallel_requests",
    "parse_subjects",
    "read_items",
    "read_pairs",
    "read_subjects",
    "select_pairs",
    "subject_requests",
]
