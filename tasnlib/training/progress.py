"""How far a training is, and the checkpoint that says so."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import nn

from tasnlib.training.checkpoints import load_training_state, progress_in, save_training_state
from tasnlib.training.recipes import Recipe
from tasnlib.training.signals import not_finite


@dataclass
class Progress:
    """What is done: whole epochs, and of the next one the steps before Ctrl-C.

    Args:
        path: of the checkpoint.
        recipe, seed: what must be the same for a checkpoint to be continued; only the first weights may be others.
        continue_unsaved: where the checkpoint cannot be written, say so and go on.
    """

    path: Path
    recipe: Recipe
    seed: int
    continue_unsaved: bool = False
    history: list[dict[str, Any]] = field(default_factory=list)  # an entry an epoch
    step: int = 0  # of the epoch that was begun: steps done,
    loss: float = 0.0  # the sum of their losses,
    seconds: float = 0.0  # and how long they took

    @property
    def identity(self) -> dict[str, Any]:
        # JSON makes lists of tuples.
        values = {name: list(v) if isinstance(v, tuple) else v for name, v in vars(self.recipe).items()}
        del values["weights"]
        return {**values, "seed": self.seed}

    def resume(self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: int) -> None:
        """Go on from the checkpoint: fills model and optimiser.

        Args:
            steps: in an epoch.

        Raises:
            ValueError: for a checkpoint of another recipe or seed, or a damaged one.
        """
        kept = load_training_state(self.path, model, optimizer)
        for name, value in self.identity.items():
            if (was := kept["identity"].get(name)) != value:
                raise ValueError(
                    f"{self.path} is of a run with {name} {was!r}, this one has {value!r}: it cannot resume it"
                )
        if spoilt := not_finite(model.state_dict()):
            raise ValueError(f"{self.path} is damaged: weights in it are no numbers, {spoilt[0]} for one")
        self.history = kept["history"]
        self.begin(**kept.get("begun", {}))
        if len(self.history) > self.recipe.epochs or self.step >= steps:
            raise ValueError(
                f"{self.path} is damaged: it is from after {len(self.history)} epochs and {self.step} steps, but this "
                f"run has {self.recipe.epochs} epochs of {steps} steps"
            )

    def begin(self, step: int = 0, loss: float = 0.0, seconds: float = 0.0) -> None:
        """Note how far the epoch is that follows those of the history."""
        self.step, self.loss, self.seconds = step, loss, seconds

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
        """Write the checkpoint.

        Raises:
            OSError: where it cannot be written and `continue_unsaved` is off; the one before is untouched.
        """
        kept: dict[str, Any] = {"identity": self.identity, "history": self.history}
        if self.step:
            kept["begun"] = {"step": self.step, "loss": self.loss, "seconds": self.seconds}
        try:
            save_training_state(self.path, model, optimizer, kept)
        except OSError as reason:
            if not self.continue_unsaved:
                saved = progress_in(self.path)[0] if self.path.is_file() else 0
                then = f"Then resume goes on after epoch {saved}; continue_unsaved=True trains on without a checkpoint."
                raise OSError(reason.errno, f"{reason.strerror} {then}") from reason
            print(f"{reason.strerror} Training goes on, because continue_unsaved is True.", flush=True)

    def require_same_everywhere(self, accelerator: Accelerator) -> None:
        """Make sure that all processes go on from the same place.

        Raises:
            ValueError: where they do not see the same checkpoint.
        """
        here = torch.tensor([[len(self.history), self.step]], device=accelerator.device)
        places = accelerator.gather(here).tolist()
        if any(place != places[0] for place in places):
            epochs = [done for done, _ in places]
            raise ValueError(
                f"{self.path} is not the same in all processes: they would go on after the epochs {epochs}; "
                "the output folder must be one that every machine sees"
            )
