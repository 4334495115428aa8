"""Prints the factors of PyTorch's learning rate schedulers that `plugin-api/src/gan/schedule.rs` is tested against.

    python schedules.py > plugin-api/src/gan/schedule_golden.in
"""

from torch import nn, optim
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, LRScheduler, MultiStepLR

STEPS = [0, 3, 5, 7, 8]


def factors(make: type[LRScheduler], **arguments: object) -> list[float]:
    optimizer = optim.SGD(nn.Linear(1, 1).parameters(), lr=1.0)
    scheduler = make(optimizer, **arguments)
    found = []
    for _ in range(max(STEPS) + 1):
        found.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    return [found[step] for step in STEPS]


multi = factors(MultiStepLR, milestones=[3, 7], gamma=0.1)
linear = factors(LinearLR, start_factor=1.0, end_factor=0.25, total_iters=8)
cosine = factors(CosineAnnealingLR, T_max=8, eta_min=0.1)
print(f"({STEPS}, {multi}, {linear}, {cosine})")
