"""Writes values.safetensors: what PyTorch gives for the cases of parity_test.cc (cases.py) and the
operations of operations_test.cc (operations.py).

  python3 -m venv VENV && VENV/bin/pip install -r requirements.txt
  VENV/bin/python make_values.py values.safetensors

Each of them runs in float64 and in float32. Stored, in float32: at most 64 elements of each float64
result (evenly spread), and beside it NAME.scale [2]: the largest |element|, and the largest
difference of the float32 run.
"""
import functools
import sys

import numpy as np
import torch
from safetensors.numpy import save_file

import cases
import drawn
import model
import operations


def parameters(config, dtype):
    return {name: torch.tensor(drawn.parameter(name, shape), dtype=dtype, requires_grad=True)
            for name, shape in cases.shapes(config).items()}


def loss_of(p, examples, config):
    if cases.classifies(config):
        return getattr(model, config["loss"])(
            model.image_embeddings(p, examples, config),
            torch.tensor([e["label"] for e in examples]), config["smoothing"])
    function = model.sigmoid_loss if config["loss"] == "sigmoid" else model.softmax_loss
    return function(p, model.image_embeddings(p, examples, config),
                    model.text_embeddings(p, examples, config), [e["hash"] for e in examples],
                    config["equal"])


def run_model(config, dtype):
    """Embeddings, loss and the gradients of the loss."""
    p = parameters(config, dtype)
    examples = cases.batch(0)
    images = model.image_embeddings(p, examples, config)
    loss = loss_of(p, examples, config)
    loss.backward()
    out = {"images": images, "loss": loss.reshape(1)}
    if not cases.classifies(config):
        out["texts"] = model.text_embeddings(p, examples, config)
    out.update({"gradient/" + name: tensor.grad for name, tensor in p.items()})
    return out


DECAY = 0.1
EMA_DECAY = 0.9


def is_matrix(name):
    tables = ("position", "token_embed", "probe", "logit")
    return name.endswith(".weight") and not any(t in name for t in tables)


def run_training(config, dtype):
    """Ten steps of AdamW with clipping, five batches in turn; weights after the first step, and the
    moving average of the weights after the last one, where the case has one."""
    p = parameters(config, dtype)
    groups = [{"params": [t for n, t in p.items() if is_matrix(n)], "weight_decay": DECAY},
              {"params": [t for n, t in p.items() if not is_matrix(n)], "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=2e-3, betas=(0.9, 0.95), eps=1e-8)
    losses, out = [], {}
    average = {n: t.detach().clone() for n, t in p.items()}
    for step in range(10):
        optimizer.zero_grad()
        loss = loss_of(p, cases.batch(10 * (step % 5)), config)
        loss.backward()
        losses.append(loss.detach())
        torch.nn.utils.clip_grad_norm_(list(p.values()), 1.0)
        optimizer.step()
        with torch.no_grad():
            if "loss.logit_scale" in p:
                p["loss.logit_scale"].clamp_(max=np.log(100))
            for n, t in p.items():
                average[n] = EMA_DECAY * average[n] + (1 - EMA_DECAY) * t.detach()
        if step == 0:
            out = {"after_one_step/" + n: t.detach().clone() for n, t in p.items()}
    if cases.classifies(config):
        out.update({"average/" + n: t for n, t in average.items()})
    out["losses"] = torch.stack(losses)
    return out


def store(case, name, exact, rough, out):
    exact = exact.detach().numpy().reshape(-1)
    error = np.abs(rough.detach().numpy().reshape(-1).astype(np.float64) - exact).max()
    stride = -(-exact.size // 64)
    out[f"{case}/{name}"] = exact[::stride].astype(np.float32)
    out[f"{case}/{name}.scale"] = np.array([np.abs(exact).max(), error], dtype=np.float32)


def main():
    torch.set_num_threads(1)
    runs = {"operation/" + name: functools.partial(operations.run, name)
            for name in operations.OPERATIONS}
    for case, config in cases.CASES.items():
        run = run_training if case.startswith("training") else run_model
        runs[case] = functools.partial(run, config)
    out = {}
    for case, run in runs.items():
        exact, rough = run(torch.float64), run(torch.float32)
        for name, tensor in exact.items():
            store(case, name, tensor, rough[name], out)
    save_file(out, sys.argv[1])


if __name__ == "__main__":
    main()
