"""The whole story on the nano organism, in minutes on a laptop: `axenic demo`."""

from axenic.demo.claim import Claim
from axenic.demo.claims import Drift, Evidence, all_claims
from axenic.demo.plan import DOMAINS, DemoPlan, Organism, full_plan, short_plan
from axenic.demo.run import DemoResult, run_demo

__all__ = [
    "DOMAINS",
    "Claim",
    "DemoPlan",
    "DemoResult",
    "Drift",
    "Evidence",
    "Organism",
    "all_claims",
    "full_plan",
    "run_demo",
    "short_plan",
]
