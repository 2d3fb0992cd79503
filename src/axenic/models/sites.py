"""Names for the places of a model where activations are read and written.

Layer l is the output of decoder block l, 0-based; -1 is the embedding output. B rows, T tokens, D width.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from peft import PeftModel
from torch import nn

from axenic.errors import ModelError, UsageError
from axenic.models.families import Family, family_of
from axenic.models.lora import LoraSite, lora_sites, trained_beside

Site = Literal["embed", "resid_post", "attn_out", "mlp_out"]
SITES: tuple[str, ...] = get_args(Site)


@dataclass(frozen=True, eq=False, repr=False)
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

    def __repr__(self) -> str:
        return f"Sites({type(self.model).__name__}, {self.n_layers} layers, width {self.d_model}, adapter={self.adapter!r})"

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
        parts = [
            (-1, self.embed),
            *enumerate(self.blocks),
            (self.n_layers, self.model.get_submodule("lm_head")),
        ]
        names = {module: name for name, module in self.model.named_modules()}
        return {site.module_name: site for site in lora_sites(parts, names, self.adapter)}


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
        replaced = trained_beside(model.peft_config[adapter])
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


def _active_adapter(model: PeftModel) -> str:
    active = list(model.active_adapters)
    if len(active) != 1:
        raise ModelError("one adapter must be active", expected="1", found=", ".join(active) or "none")
    if model.peft_config[active[0]].peft_type != "LORA":
        raise ModelError("only LoRA adapters are supported", found=model.peft_config[active[0]].peft_type)
    return str(active[0])
