"""Names for the places of a model where activations are read and written.

Layer l is the output of decoder block l, 0-based; -1 is the embedding output. B rows, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from peft import LoraConfig, PeftModel
from peft.tuners.lora import LoraLayer
from peft.tuners.lora.layer import ParamWrapper
from torch import Tensor, nn

from axenic.errors import ModelError, UsageError
from axenic.models.families import Family, family_of

Site = Literal["embed", "resid_post", "attn_out", "mlp_out"]
SITES: tuple[str, ...] = get_args(Site)


@dataclass(frozen=True)
class LoraSite:
    """One LoRA module.

    Args:
        layer: Its decoder block; `n_layers` for a module behind the last block (`lm_head`).
        module_name: Its path in the base model, e.g. `model.layers.3.mlp.down_proj`.
        lora_A: [R, in]; `lora_A(x)` are the adapter scalars.
        lora_B: [out, R]; its output times `scale` is what the adapter adds to the module's output.
        scale: alpha/r, or alpha/sqrt(r) with rsLoRA, as read from the adapter.
    """

    layer: int
    module_name: str
    lora_A: nn.Module
    lora_B: nn.Module
    scale: float


@dataclass(frozen=True, eq=False)
class Sites:
    """The named places of one model, bare or PEFT-wrapped; made by `find_sites`.

    `model` is the causal language model without the PEFT wrapper, `decoder` the part that holds the `blocks`;
    `adapter` is the active adapter's name, `replaced` says what it changed beside its LoRA modules;
    `n_tokens` is the number of rows of the embedding.
    """

    n_layers: int
    d_model: int
    n_tokens: int
    model: nn.Module
    family: Family
    decoder: nn.Module
    embed: nn.Module
    blocks: tuple[nn.Module, ...]
    final_norm: nn.Module
    adapter: str | None
    replaced: str

    def check(self, site: str, layer: int) -> None:
        """Refuse a place that this model does not have.

        Raises:
            UsageError: An unknown site, or a layer outside of the valid range, which the message names.
        """
        if site not in SITES:
            raise UsageError(f"there is no site '{site}'", expected=", ".join(SITES), found=site)
        if site == "embed" and layer != -1:
            raise UsageError("the embedding output is layer -1", where="site embed", expected=-1, found=layer)
        if site != "embed" and not 0 <= layer < self.n_layers:
            raise UsageError(
                f"the model has no layer {layer}",
                where=f"site {site}",
                expected=f"0 to {self.n_layers - 1} (layer l is the output of decoder block l)",
                found=layer,
                hint="site='embed' for layer -1" if layer == -1 else None,
            )

    def module(self, site: Site, layer: int) -> nn.Module:
        """The module whose output is the site: a tensor [B, T, D], or a tuple that begins with it.

        Args:
            site: `embed` (layer -1 only) is what the first block receives, after Gemma's scaling; `resid_post` the
                residual stream after the block; `attn_out` and `mlp_out` what is ADDED to it, after Gemma's post-norms.
            layer: 0-based block.

        Raises:
            UsageError: No such site or layer.
        """
        self.check(site, layer)
        if site == "embed":
            return self.embed
        block = self.blocks[layer]
        if site == "resid_post":
            return block
        return block.get_submodule(self.family.attn_out if site == "attn_out" else self.family.mlp_out)

    def lora_modules(self) -> dict[str, LoraSite]:
        """The LoRA modules of the language model by name, in the order of the blocks; empty without an adapter.

        Raises:
            ModelError: The adapter cannot be taken apart into a sum of B(A(x)) terms: merged, DoRA, LoRA on
                embeddings or on bare parameters, trained biases.
        """
        if self.adapter is None:
            return {}
        if self.replaced:
            raise ModelError(
                "the adapter cannot be told from the base model",
                expected="LoRA modules and nothing else",
                found=f"it also trained {self.replaced}",
            )
        names = {module: name for name, module in self.model.named_modules()}
        layers = [
            (-1, self.embed),
            *enumerate(self.blocks),
            (self.n_layers, self.model.get_submodule("lm_head")),
        ]
        found = [
            _lora_site(layer, names[module], module, self.adapter)
            for layer, part in layers
            for module in part.modules()
            if isinstance(module, LoraLayer)
        ]
        return {site.module_name: site for site in found if site is not None}


def find_sites(model: nn.Module) -> Sites:
    """Name the sites of a causal language model: bare, PEFT-wrapped or merged.

    Args:
        model: A transformers model of a supported `config.model_type`, or a `PeftModel` around one.

    Raises:
        ModelError: An unsupported architecture, more than one active adapter, or an adapter that is not LoRA.
    """
    adapter, replaced = None, ""
    base: Any = model
    if isinstance(model, PeftModel):
        adapter = _active_adapter(model)
        replaced = _replaced(model.peft_config[adapter])
        base = model.get_base_model()
    family = family_of(base.config.model_type, base.config.name_or_path or type(base).__name__)
    try:
        decoder = base.get_submodule(family.decoder)
    except AttributeError as error:
        raise ModelError(
            f"{type(base).__name__} is not a causal language model",
            expected=f"a module {family.decoder} that holds the decoder blocks",
            found=error,
        ) from error
    blocks = tuple(decoder.layers)
    return Sites(
        n_layers=len(blocks),
        d_model=base.config.get_text_config().hidden_size,
        n_tokens=decoder.embed_tokens.weight.shape[0],
        model=base,
        family=family,
        decoder=decoder,
        embed=decoder.embed_tokens,
        blocks=blocks,
        final_norm=decoder.norm,
        adapter=adapter,
        replaced=replaced,
    )


def site_tensor(output: Tensor | tuple[Any, ...]) -> Tensor:
    """The activations [B, T, D] in a module's output: the output itself, or the first item of a tuple.

    Decoder blocks return a tensor in transformers 5 and a tuple in 4; indexing a tensor would take row 0 only.

    Raises:
        ModelError: Neither a tensor nor a tuple that begins with one.
    """
    first = output[0] if isinstance(output, tuple) and output else output
    if not isinstance(first, Tensor):
        raise ModelError(
            "a module's output holds no activations",
            expected="a tensor, or a tuple that begins with one",
            found=type(output).__name__,
        )
    return first


def with_site_tensor(output: Tensor | tuple[Any, ...], h_BTD: Tensor) -> Tensor | tuple[Any, ...]:
    """The same output with other activations; the rest of a tuple is kept."""
    return (h_BTD, *output[1:]) if isinstance(output, tuple) else h_BTD


def _active_adapter(model: PeftModel) -> str:
    active = list(model.active_adapters)
    if len(active) != 1:
        raise ModelError("one adapter must be active", expected="1", found=", ".join(active) or "none")
    if model.peft_config[active[0]].peft_type != "LORA":
        raise ModelError("only LoRA adapters are supported", found=model.peft_config[active[0]].peft_type)
    return str(active[0])


def _replaced(config: LoraConfig) -> str:
    """What the adapter trained beside its LoRA modules, in words; empty if nothing."""
    parts = [f"biases ({config.bias})"] if config.bias != "none" else []
    parts += [f"whole modules ({', '.join(config.modules_to_save)})"] if config.modules_to_save else []
    parts += ["token embeddings"] if config.trainable_token_indices else []
    return " and ".join(parts)


def _lora_site(layer: int, name: str, module: LoraLayer, adapter: str) -> LoraSite | None:
    """None if the adapter has no part in this module; ModelError if its part is not B(A(x))."""
    problem = None
    if module.merged_adapters:
        problem = "it is merged into the weights"
    elif adapter in module.lora_embedding_A or layer == -1:
        problem = "it sits on the embedding"
    elif adapter in module.lora_variant:
        problem = f"it is a LoRA variant ({type(module.lora_variant[adapter]).__name__})"
    elif isinstance(module, ParamWrapper):
        problem = "it sits on a bare parameter (an expert of a mixture)"
    if problem is not None:
        raise ModelError(
            "the adapter's part in a module cannot be told from the base model",
            where=name,
            expected="LoRA on linear modules, not merged",
            found=problem,
        )
    if adapter not in module.lora_B:
        return None
    return LoraSite(
        layer, name, module.lora_A[adapter], module.lora_B[adapter], float(module.scaling[adapter])
    )
