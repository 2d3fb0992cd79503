"""Greedy answers from vLLM, in an environment of its own: a job comes on standard input, its results go to a file.

`test_served_by_vllm.py` runs it with the interpreter of an environment that has vLLM and need not have Axenic. All requests go
in one batch; each names the adapter that it is answered through, or none.

    job      {"model": folder, "dtype": name, "adapters": {name: folder}, "max_lora_rank": 8, "max_tokens": 40, "out": file,
              "requests": [{"prompt": [token ids], "adapter": name or null}], "try": folder or null}
    results  {"tokens": [[token ids, the stop token included], ...], "refused": what vLLM says to the adapter tried, or null}
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

# In one process, on the threads that OMP_NUM_THREADS allows, without a report to anybody.
os.environ.update(
    VLLM_CPU_KVCACHE_SPACE="1",
    VLLM_CPU_OMP_THREADS_BIND="nobind",
    VLLM_ENABLE_V1_MULTIPROCESSING="0",
    VLLM_NO_USAGE_STATS="1",
    HF_HUB_OFFLINE="1",
)


def serve(job: dict[str, Any]) -> dict[str, Any]:
    """Answer the requests, then try to load one adapter more."""
    from vllm import LLM, SamplingParams
    from vllm.lora.request import LoRARequest

    llm = LLM(
        job["model"],
        dtype=job["dtype"],
        enable_lora=True,
        # One slot stays empty: on a CPU, vLLM 0.32 answers requests without an adapter through the last slot when others of
        # their batch have adapters (vllm-project/vllm#49656). Without it: 0 of 56 plain answers right, all the organism's.
        max_loras=len(job["adapters"]) + 1,
        max_lora_rank=job["max_lora_rank"],
        max_model_len=256,
        max_num_seqs=256,
        enforce_eager=True,
    )
    adapters = {
        name: LoRARequest(name, number, folder)
        for number, (name, folder) in enumerate(job["adapters"].items(), 1)
    }
    outputs = llm.generate(
        [{"prompt_token_ids": one["prompt"]} for one in job["requests"]],
        SamplingParams(temperature=0.0, max_tokens=job["max_tokens"]),
        lora_request=[adapters[one["adapter"]] if one["adapter"] else None for one in job["requests"]],
        use_tqdm=False,
    )
    refused = None
    if job["try"]:
        try:
            llm.llm_engine.add_lora(LoRARequest("tried", len(adapters) + 1, job["try"]))
        except ValueError as error:
            refused = str(error)
    return {"tokens": [list(output.outputs[0].token_ids) for output in outputs], "refused": refused}


if __name__ == "__main__":
    todo = json.load(sys.stdin)
    Path(todo["out"]).write_text(json.dumps(serve(todo)), encoding="utf-8")
