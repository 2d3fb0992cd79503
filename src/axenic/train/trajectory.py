"""The path of what is trained, at every k-th step, in one file that is valid at every instant."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from axenic.errors import CheckpointError
from axenic.files import TensorStack
from axenic.train.config import TrainConfig
from axenic.train.organism import Organism
from axenic.train.sketch import DIMS, SEED, WeightSketch

FROM_SCRATCH = "repeat the command with --from-scratch"


class Trajectory:
    """`trajectory.safetensors`: float32 `layers.{l}.{module}.A` [S, R, d_in] and `.B` [S, d_out, R].

    Steps are 0, k, 2k, ... and the last one; step 0 is the adapter before training, that of `start_from` where the run
    goes on from an organism. B·A times `scale` (in the
    metadata: alpha/sqrt(r) or alpha/r) is what the adapter adds to the weight.

    Of steering vectors: float32 `layers.{l}.vector` [S, D], without alpha, which is `scale` in the metadata.

    Of a full fine-tune: float32 `layers.{l}.delta` and `rest.delta` [S, 4096], a random projection of what each
    block's weights have moved from the base model's, which keeps norms and angles (`axenic.train.sketch`).

    Args:
        path: The file.
        organism: With the base model's weights still, if all are trained.
        config: `trajectory_steps` is k; 0 stores nothing.
        total_steps: Steps planned; a run that stops early leaves the later rows unwritten.
    """

    def __init__(self, path: Path, organism: Organism, config: TrainConfig, total_steps: int) -> None:
        self.path = path
        self.organism = organism
        self.steps: list[int] = []
        every = config.trajectory_steps
        if every:
            self.steps = sorted({*range(0, total_steps + 1, every), total_steps})
        self._metadata = {"kind": "adapter_trajectory", "scale": repr(config.scale)}
        self._sketch: WeightSketch | None = None
        if organism.vector_config is not None:
            self._metadata = {"kind": "vector_trajectory", "scale": repr(config.scale)}
        if every and organism.full:
            # Now, and not at the beginning of training: a checkpoint's weights are then in the place of the base's.
            self._sketch = WeightSketch(organism.trained())
            self._metadata = {"kind": "weight_sketch", "dims": str(DIMS), "seed": str(SEED)}
        self._stack: TensorStack | None = None

    def begin(self, done: int) -> None:
        """Make the file, or open it again after the first `done` steps and check that they are in it.

        Raises:
            CheckpointError: rows that the checkpoint's step implies are missing.
        """
        if not self.steps:
            return
        if not self.organism.processes.main:
            return
        shapes = {name: tuple(tensor.shape) for name, tensor in self._vectors().items()}
        if done == 0:
            self.path.unlink(missing_ok=True)
            self._stack = TensorStack.create(self.path, shapes, self.steps, self._metadata)
            self.write(0)
            return
        if not self.path.exists():
            raise CheckpointError(
                f"{self.path.name} is missing",
                where=self.path,
                expected=f"steps 0 to {done}",
                hint=FROM_SCRATCH,
            )
        self._stack = TensorStack.open(self.path, shapes, self.steps, self._metadata)
        missing = [step for step in self.steps if step <= done and step not in self._stack.written()]
        if missing:
            raise CheckpointError(
                f"{self.path.name} lacks step {missing[0]}",
                where=self.path,
                expected=f"steps 0 to {done}",
                hint=FROM_SCRATCH,
            )

    def write(self, step: int) -> None:
        """Store the vectors if this step is planned."""
        if step in self.steps:
            vectors = self._vectors()  # by every process: each may hold a part of them
            if self._stack is not None:
                self._stack.write(step, vectors)

    def _vectors(self) -> dict[str, Tensor]:
        if self._sketch is None:
            return self.organism.vectors()
        weights = self.organism.processes.whole(self.organism.trained())
        return self._sketch.vectors(weights) if self.organism.processes.main else {}
