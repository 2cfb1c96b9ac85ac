"""Single steps of a training on photographs: eager on a CPU, captured as CUDA graphs on a GPU. Knows no files."""

from typing import Final

import torch
from loguru import logger
from torch import Tensor

from sr_tasks.training.course import Course, learning_rate
from sr_tasks.training.network import LumaNet
from sr_tasks.training.recipe import Recipe
from sr_tasks.training.stock import BLOCK, Stock, cut, draw_places

TRIAL_STEPS: Final = 3
"""Before a step is captured, so that libraries have chosen their kernels; they leave no trace."""


class Stepper:
    """Takes the steps of one course."""

    def __init__(self, course: Course[LumaNet], recipe: Recipe, stock: Stock, device: str) -> None:
        self.course, self.recipe, self.stock, self.device = course, recipe, stock, device
        plan = recipe.optimisation
        self._places = torch.zeros((6, plan.batch), dtype=torch.int64, device=device)
        self._drawn, self._block = -1, torch.zeros((BLOCK, 6, plan.batch), dtype=torch.int64, device=device)
        self._keep = torch.tensor(1.0, device=device)
        self._loss, self._losses = torch.zeros((), device=device), 0
        self._weights: list[Tensor] = list(course.net.parameters())
        self._average: list[Tensor] = list(course.average.parameters())
        self._graphs: dict[bool, torch.cuda.CUDAGraph] = {}
        self.stream = torch.cuda.Stream() if device != "cpu" else None  # type: ignore[no-untyped-call]

    def step(self, progress: float) -> None:
        """One step at `progress` 0..1 of the training; on a GPU it is only begun."""
        plan, course = self.recipe.optimisation, self.course
        is_last_stage = plan.last_stage is not None and progress >= 1 - plan.last_stage.share
        self._set_rate(learning_rate(plan, course.step, progress))
        self._keep.fill_(1 - min(plan.ema_decay, (course.step + 1) / (course.step + 10)))
        self._places.copy_(self._at(course.step))
        if is_last_stage in self._graphs:
            self._graphs[is_last_stage].replay()
        else:
            self._descend(is_last_stage)
        course.step += 1
        self._losses += 1

    def mean_loss(self) -> float:
        """Of the steps since the last call."""
        mean = self._loss.item() / max(1, self._losses)
        self._loss.zero_()
        self._losses = 0
        return mean

    def capture(self) -> None:
        """Make graphs of the steps of both stages. The course is afterwards what it was before."""
        self._places.copy_(self._at(self.course.step))
        self._set_rate(self.recipe.optimisation.learning_rate)
        stages = [False] if self.recipe.optimisation.last_stage is None else [False, True]
        kept = self._state()
        for is_last_stage in stages:
            torch.cuda.synchronize()
            with torch.cuda.stream(self.stream):
                for _ in range(TRIAL_STEPS):
                    self._descend(is_last_stage)
            torch.cuda.synchronize()
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, stream=self.stream):
                self._descend(is_last_stage)
            self._graphs[is_last_stage] = graph
        self._restore(kept)
        torch.cuda.synchronize()
        logger.info("Captured the steps of {}", self.recipe.name)

    def _at(self, step: int) -> Tensor:
        block, row = divmod(step, BLOCK)
        if block != self._drawn:
            places = draw_places(self.stock, self.recipe, block, self.course.net.margin)
            self._block.copy_(torch.from_numpy(places))
            self._drawn = block
        return self._block[row]

    def _set_rate(self, rate: float) -> None:
        for group in self.course.optimiser.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def _descend(self, is_last_stage: bool) -> None:
        plan, net = self.recipe.optimisation, self.course.net
        window = plan.patch + 2 * net.margin
        precision = plan.last_stage.precision if is_last_stage and plan.last_stage else plan.precision
        device = torch.device(self.device).type
        luma, target = cut(self.stock, self._places, window, self.stock.scale * plan.patch)
        luma = luma.as_strided(luma.shape, (window * window, 1, window, 1))  # channels last, which torch cannot guess
        # In bfloat16 what stays float32 is the first layer and the base, which must be exact; in the last stage
        # everything is, and ten bits of it will do for a product.
        with (
            torch.backends.cudnn.flags(enabled=True, benchmark=True, allow_tf32=precision == "fp32"),
            torch.autocast(device, torch.bfloat16, enabled=precision == "bf16", cache_enabled=False),
        ):
            answer = net.interior(luma)
            loss = self._loss_of(answer.float() - target, is_last_stage)
            self.course.optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        self.course.optimiser.step()
        with torch.no_grad():
            changes = list(torch._foreach_sub(self._weights, self._average))
            torch._foreach_mul_(changes, self._keep)
            torch._foreach_add_(self._average, changes)
            self._loss += loss.detach()

    def _loss_of(self, error: Tensor, is_last_stage: bool) -> Tensor:
        if is_last_stage:
            return error.square().mean()
        plan = self.recipe.optimisation
        loss = torch.sqrt(error * error + plan.charbonnier_epsilon**2).mean()
        if plan.fourier_weight:
            spectrum = torch.view_as_real(torch.fft.rfft2(error, norm="ortho"))
            loss = loss + plan.fourier_weight * spectrum.abs().mean()
        return loss

    def _state(self) -> list[tuple[Tensor, Tensor]]:
        tensors = [*self._weights, *self._average, self._loss]
        for weights in self._weights:
            tensors += [value for value in self.course.optimiser.state[weights].values() if isinstance(value, Tensor)]
        return [(tensor, tensor.detach().clone()) for tensor in tensors]

    def _restore(self, kept: list[tuple[Tensor, Tensor]]) -> None:
        known = {id(tensor) for tensor, _ in kept}
        with torch.no_grad():
            for tensor, value in kept:
                tensor.copy_(value)
            for weights in self._weights:
                for value in self.course.optimiser.state[weights].values():
                    if isinstance(value, Tensor) and id(value) not in known:
                        value.zero_()
