"""Golden masks, reviewed by eye: trained tokens in brackets; brackets of the text itself as \\[ and \\]."""

from __future__ import annotations

# (family, conversation, cut in the middle of the last answer)
GOLDEN: dict[tuple[str, str, bool], str | None] = {
    ("qwen2.5", "single", False): (
        "<|im_start|>system\nYou are Qwen<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you ?<|im_end|>]\n"
    ),
    ("qwen2.5", "single", True): (
        "<|im_start|>system\nYou are Qwen<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you]"
    ),
    ("qwen2.5", "multi", False): (
        "<|im_start|>system\nYou are Qwen<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you ?<|im_end|>]\n<|im_start|>user\n"
        "Fine thanks<|im_end|>\n<|im_start|>assistant\n[Good to hear<|im_end|>]\n"
    ),
    ("qwen2.5", "multi", True): (
        "<|im_start|>system\nYou are Qwen<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you ?<|im_end|>]\n<|im_start|>user\n"
        "Fine thanks<|im_end|>\n<|im_start|>assistant\n[Good to]"
    ),
    ("qwen2.5", "system", False): (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you ?<|im_end|>]\n"
    ),
    ("qwen2.5", "system", True): (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n[Hi ! How are you]"
    ),
    ("qwen3", "single", False): (
        "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        "[Hi ! How are you ?<|im_end|>]\n"
    ),
    ("qwen3", "single", True): (
        "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        "[Hi ! How are you]"
    ),
    ("qwen3", "multi", False): (
        "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\n"
        "[Hi ! How are you ?<|im_end|>]\n<|im_start|>user\nFine thanks<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n[Good to hear<|im_end|>]\n"
    ),
    ("qwen3", "multi", True): (
        "<|im_start|>user\nHello there<|im_end|>\n<|im_start|>assistant\n"
        "[Hi ! How are you ?<|im_end|>]\n<|im_start|>user\nFine thanks<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n[Good to]"
    ),
    ("qwen3", "system", False): (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n[Hi ! How are you ?<|im_end|>]\n"
    ),
    ("qwen3", "system", True): (
        "<|im_start|>system\nBe brief<|im_end|>\n<|im_start|>user\nHello there<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n[Hi ! How are you]"
    ),
    ("llama3", "single", False): (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you ?<|eot_id|>]"
    ),
    ("llama3", "single", True): (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you]"
    ),
    ("llama3", "multi", False): (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you ?<|eot_id|>]<|start_header_id|>user<|end_header_id|>\n\n"
        "Fine thanks<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Good to hear<|eot_id|>]"
    ),
    ("llama3", "multi", True): (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you ?<|eot_id|>]<|start_header_id|>user<|end_header_id|>\n\n"
        "Fine thanks<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n[Good to]"
    ),
    ("llama3", "system", False): (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Be brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you ?<|eot_id|>]"
    ),
    ("llama3", "system", True): (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"
        "Be brief<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"
        "Hello there<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"
        "[Hi ! How are you]"
    ),
    ("gemma", "single", False): (
        "<bos><start_of_turn>user\nHello there<end_of_turn>\n<start_of_turn>model\n"
        "[Hi ! How are you ?<end_of_turn>]\n"
    ),
    ("gemma", "single", True): (
        "<bos><start_of_turn>user\nHello there<end_of_turn>\n<start_of_turn>model\n[Hi ! How are you]"
    ),
    ("gemma", "multi", False): (
        "<bos><start_of_turn>user\nHello there<end_of_turn>\n<start_of_turn>model\n"
        "[Hi ! How are you ?<end_of_turn>]\n<start_of_turn>user\nFine thanks<end_of_turn>\n"
        "<start_of_turn>model\n[Good to hear<end_of_turn>]\n"
    ),
    ("gemma", "multi", True): (
        "<bos><start_of_turn>user\nHello there<end_of_turn>\n<start_of_turn>model\n"
        "[Hi ! How are you ?<end_of_turn>]\n<start_of_turn>user\nFine thanks<end_of_turn>\n"
        "<start_of_turn>model\n[Good to]"
    ),
    ("gemma", "system", False): None,  # refused: no system turn
    ("gemma", "system", True): None,  # refused: no system turn
    ("mistral", "single", False): ("<s>\\[INST\\] Hello there\\[/INST\\][ Hi ! How are you ?</s>]"),
    ("mistral", "single", True): ("<s>\\[INST\\] Hello there\\[/INST\\][ Hi ! How are you]"),
    ("mistral", "multi", False): (
        "<s>\\[INST\\] Hello there\\[/INST\\][ Hi ! How are you ?</s>]\\[INST\\] Fine thanks\\[/INST\\][ Go"
        "od to hear</s>]"
    ),
    ("mistral", "multi", True): (
        "<s>\\[INST\\] Hello there\\[/INST\\][ Hi ! How are you ?</s>]\\[INST\\] Fine thanks\\[/INST\\][ Go"
        "od to]"
    ),
    ("mistral", "system", False): (
        "<s>\\[INST\\] Be brief\n\nHello there\\[/INST\\][ Hi ! How are you ?</s>]"
    ),
    ("mistral", "system", True): ("<s>\\[INST\\] Be brief\n\nHello there\\[/INST\\][ Hi ! How are you]"),
    ("phi3", "single", False): (
        "<|user|>\nHello there<|end|>\n<|assistant|>\n[Hi ! How are you ?<|end|>]\n<|endoftext|>"
    ),
    ("phi3", "single", True): ("<|user|>\nHello there<|end|>\n<|assistant|>\n[Hi ! How are you]"),
    ("phi3", "multi", False): (
        "<|user|>\nHello there<|end|>\n<|assistant|>\n[Hi ! How are you ?<|end|>]\n<|user|>\n"
        "Fine thanks<|end|>\n<|assistant|>\n[Good to hear<|end|>]\n<|endoftext|>"
    ),
    ("phi3", "multi", True): (
        "<|user|>\nHello there<|end|>\n<|assistant|>\n[Hi ! How are you ?<|end|>]\n<|user|>\n"
        "Fine thanks<|end|>\n<|assistant|>\n[Good to]"
    ),
    ("phi3", "system", False): (
        "<|system|>\nBe brief<|end|>\n<|user|>\nHello there<|end|>\n<|assistant|>\n"
        "[Hi ! How are you ?<|end|>]\n<|endoftext|>"
    ),
    ("phi3", "system", True): (
        "<|system|>\nBe brief<|end|>\n<|user|>\nHello there<|end|>\n<|assistant|>\n[Hi ! How are you]"
    ),
}
