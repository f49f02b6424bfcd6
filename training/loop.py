"""The loop that trains both models: step-based, seeded, resumable."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from training.progress import Progress

#: A loss to minimise and the figures to print beside it.
Judged = tuple[Tensor, dict[str, float]]


@dataclass(frozen=True)
class Schedule:
    """How one model is trained; everything counts steps, never seconds."""

    steps: int
    """Optimiser steps in all."""
    rate: float
    """AdamW's learning rate after the warm-up."""
    betas: tuple[float, float]
    """AdamW's momenta."""
    warmup: int = 200
    """Steps of linear rise."""
    hold: float = 0.3
    """Share of the steps before the cosine begins."""
    floor: float = 0.005
    """Share of `rate` at the last step."""
    average: float = 0.998
    """Decay of the moving average of the weights, which is what is exported."""
    clip: float = 1.0
    """Largest norm of the gradient."""

    def at(self, step: int) -> float:
        """Return the learning rate of a step."""
        rise = min(1.0, (step + 1) / self.warmup)
        done = max(0.0, (step / self.steps - self.hold) / (1 - self.hold))
        fall = self.floor + (1 - self.floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))
        return self.rate * rise * fall


class Trainer:
    """A model with its optimiser, its averaged weights and its checkpoint file."""

    def __init__(self, model: nn.Module, schedule: Schedule, checkpoint: Path) -> None:
        """Resume from `checkpoint` where it exists."""
        self.model, self.schedule, self.checkpoint = model, schedule, checkpoint
        self.optimizer = torch.optim.AdamW(model.parameters(), schedule.rate, schedule.betas)
        self.average = {k: v.detach().clone() for k, v in model.state_dict().items()}
        self.step = 0
        if checkpoint.exists():
            self._load()

    def _load(self) -> None:
        state = torch.load(self.checkpoint, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.average, self.step = state["average"], state["step"]

    def save(self) -> None:
        """Write the checkpoint atomically."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average,
            "step": self.step,
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        beside = self.checkpoint.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(self.checkpoint)

    def _update(self, loss: Tensor) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.at(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), self.schedule.clip)
        self.optimizer.step()
        decay = min(self.schedule.average, (self.step + 1) / (self.step + 10))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - decay)
        self.step += 1

    def run(self, stage: str, judge: Callable[[int], Judged], stop: int | None = None) -> None:
        """Train to the end of the schedule, or to step `stop`; `judge` gives a step's loss."""
        last = min(self.schedule.steps, stop or self.schedule.steps)
        progress = Progress(stage, last, self.step)
        while self.step < last:
            loss, notes = judge(self.step)
            self._update(loss)
            progress.show(self.step, " ".join(f"{k} {v:.4f}" for k, v in notes.items()))
            if self.step % 200 == 0 or self.step == last:
                self.save()


def averaged(checkpoint: Path) -> dict[str, Tensor]:
    """Return the averaged weights of a checkpoint."""
    weights: dict[str, Tensor] = torch.load(checkpoint, weights_only=True)["average"]
    return weights
