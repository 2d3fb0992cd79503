"""The README's table out of a demo's rows: python docs/claims_table.py runs/demo/report.json"""

import json
import sys
from pathlib import Path

MARK = {True: "✓", False: "✗ **does not hold**", None: "– not shown"}


def row(claim: dict) -> str:
    """One line of the Markdown table."""
    interval = claim["interval"]
    ends = "–" if interval is None else f"[{interval[0]:.3g}, {interval[1]:.3g}]"
    cells = [
        MARK[claim["holds"]],
        claim["claim"],
        claim["published"],
        claim["measured"],
        ends,
        claim["control"],
    ]
    return "| " + " | ".join(cells) + " |"


claims = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["claims"]
print("| | Claim | Published | On the nano organism | 95 % of the weakest case | Control |")
print("|---|---|---|---|---|---|")
print("\n".join(row(claim) for claim in claims))
