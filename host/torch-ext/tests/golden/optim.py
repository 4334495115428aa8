"""Writes tests/all/golden.rs: ten steps of PyTorch's optimisers, in float64 and float32.

    python host/torch-ext/tests/golden/optim.py > host/torch-ext/tests/all/golden.rs

Made with torch 2.11.0 on the CPU. Parameters and gradients are small fractions, exact in both types, made by
the same rule in tests/all/optim.rs.
"""
import torch

SHAPES = [(3, 2), (5,)]
STEPS = 10


def tensors(rule, dtype):
    result, i = [], 0
    for shape in SHAPES:
        n = torch.Size(shape).numel()
        result.append(torch.tensor([rule(i + k) for k in range(n)], dtype=dtype).view(shape))
        i += n
    return result


def run(make, dtype):
    params = [p.requires_grad_() for p in tensors(lambda i: ((5 * i) % 13 - 6) / 4, dtype)]
    optimiser = make(params)
    for step in range(STEPS):
        for p, g in zip(params, tensors(lambda i: ((7 * i + 3 * step) % 11 - 5) / 8, dtype)):
            p.grad = g
        optimiser.step()
    return [x for p in params for x in p.detach().double().flatten().tolist()]


CASES = {
    "ADAM": lambda p: torch.optim.Adam(p, lr=2e-3, betas=(0.5, 0.999), eps=1e-8, fused=True),
    "ADAM_DECAY": lambda p: torch.optim.Adam(p, lr=1e-2, betas=(0.9, 0.99), eps=1e-6, weight_decay=0.1),
    "ADAMW": lambda p: torch.optim.AdamW(p, lr=1e-2, betas=(0.0, 0.9), eps=1e-8, weight_decay=0.1),
    "RMSPROP": lambda p: torch.optim.RMSprop(p, lr=1e-2, alpha=0.99, eps=1e-8, foreach=True),
    "RMSPROP_DECAY": lambda p: torch.optim.RMSprop(p, lr=5e-3, alpha=0.9, eps=1e-6, weight_decay=0.1),
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1),
    "SGD_DECAY": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.1),
    "SGD_MOMENTUM": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1),
    "SGD_NESTEROV": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, fused=True),
}

print("//! Made by tests/golden/optim.py with torch", torch.__version__.split("+")[0] + "; do not edit.")
print('#![allow(clippy::unreadable_literal, clippy::excessive_precision, reason = "generated")]')
for name, make in CASES.items():
    for suffix, dtype in [("F64", torch.float64), ("F32", torch.float32)]:
        values = run(make, dtype)
        print(f"\npub(crate) const {name}_{suffix}: [f64; {len(values)}] = [")
        for value in values:
            print(f"    {value!r},")
        print("];")
