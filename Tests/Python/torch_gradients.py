#!/usr/bin/env python3
"""The model in PyTorch float64: loss, every gradient, and ten steps of AdamW, for a Swift test to compare with.

Usage: torch_gradients.py FOLDER. Reads FOLDER/case.json, parameters.f32 and tokens.u16 (per step: inputs, then targets);
writes gradients.f64 (as the parameters lie) and losses.f64 (one a step).
Needs torch (any version since 2.0) and numpy.
"""
import json
import math
import pathlib
import sys

import numpy
import torch
import torch.nn.functional as F


def gpt2(p, case, x):
    width, heads, biases = case["width"], case["heads"], case["biases"]

    def bias(name):
        return p[name + ".bias"] if biases else None

    def linear(z, name):
        z = z @ p[name + ".weight"]
        return z + p[name + ".bias"] if biases else z

    def norm(z, name):
        return F.layer_norm(z, (width,), p[name + ".weight"].view(-1), bias(name), 1e-5)

    b, t = x.shape
    z = p["wte.weight"][x] + p["wpe.weight"][:t]
    for layer in range(case["layers"]):
        h = f"h.{layer}."
        q, k, v = (u.view(b, t, heads, -1).transpose(1, 2) for u in linear(norm(z, h + "ln_1"), h + "attn.c_attn").split(width, 2))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(b, t, width)
        z = z + linear(a, h + "attn.c_proj")
        z = z + linear(F.gelu(linear(norm(z, h + "ln_2"), h + "mlp.c_fc"), approximate="tanh"), h + "mlp.c_proj")
    return norm(z, "ln_f") @ p.get("lm_head.weight", p["wte.weight"]).T


def llama(p, case, x):
    heads, shared = case["heads"], case["keyValueHeads"]
    size = case["width"] // heads
    b, t = x.shape
    angles = torch.arange(t, dtype=torch.float64)[:, None] * 10000.0 ** (-torch.arange(0, size, 2, dtype=torch.float64) / size)
    cosine, sine = angles.cos(), angles.sin()

    def norm(z, name):
        return z / (z.square().mean(-1, keepdim=True) + 1e-5).sqrt() * p[name + ".weight"].view(-1)

    def linear(z, name):
        return z @ p[name + ".weight"]

    def split(z, count):
        return z.view(b, t, count, size).transpose(1, 2)

    def rotate(z):
        first, second = z[..., :size // 2], z[..., size // 2:]
        return torch.cat((first * cosine - second * sine, second * cosine + first * sine), -1)

    z = p["model.embed_tokens.weight"][x]
    for layer in range(case["layers"]):
        h = f"model.layers.{layer}."
        n = norm(z, h + "input_layernorm")
        q, k, v = (split(linear(n, h + f"self_attn.{part}_proj"), count) for part, count in (("q", heads), ("k", shared), ("v", shared)))
        k, v = (u.repeat_interleave(heads // shared, 1) for u in (rotate(k), v))
        a = F.scaled_dot_product_attention(rotate(q), k, v, is_causal=True).transpose(1, 2).reshape(b, t, -1)
        z = z + linear(a, h + "self_attn.o_proj")
        n = norm(z, h + "post_attention_layernorm")
        z = z + linear(F.silu(linear(n, h + "mlp.gate_proj")) * linear(n, h + "mlp.up_proj"), h + "mlp.down_proj")
    return norm(z, "model.norm") @ p.get("lm_head.weight", p["model.embed_tokens.weight"]).T


def forward(p, case, x, y):
    return F.cross_entropy({"gpt2": gpt2, "llama": llama}[case.get("style", "gpt2")](p, case, x).flatten(0, 1), y.flatten())


def rate(case, step):
    if step < case["warmupSteps"]:
        return case["learningRate"] * (step + 1) / case["warmupSteps"]
    progress = min(1.0, (step - case["warmupSteps"]) / (case["decaySteps"] - case["warmupSteps"]))
    return case["minimumLearningRate"] + 0.5 * (1 + math.cos(math.pi * progress)) * (case["learningRate"] - case["minimumLearningRate"])


def main():
    folder = pathlib.Path(sys.argv[1])
    case = json.loads((folder / "case.json").read_text())
    flat = torch.from_numpy(numpy.fromfile(folder / "parameters.f32", dtype="<f4").astype("f8"))
    tokens = torch.from_numpy(numpy.fromfile(folder / "tokens.u16", dtype="<u2").astype("i8"))
    tokens = tokens.view(case["steps"], 2, case["rows"], case["context"])
    p = {}
    for entry in case["tensors"]:
        part = flat[entry["offset"]:entry["offset"] + entry["rows"] * entry["columns"]].clone()
        shape = (entry["columns"],) if entry["rows"] == 1 and not entry["decays"] else (entry["rows"], entry["columns"])
        p[entry["name"]] = part.view(shape).requires_grad_()
    decaying = [p[e["name"]] for e in case["tensors"] if e["decays"]]
    plain = [p[e["name"]] for e in case["tensors"] if not e["decays"]]
    optimizer = torch.optim.AdamW(
        [{"params": decaying, "weight_decay": case["weightDecay"]}, {"params": plain, "weight_decay": 0.0}],
        lr=1.0, betas=(case["beta1"], case["beta2"]), eps=case["epsilon"])
    losses = []
    for step in range(case["steps"]):
        loss = forward(p, case, tokens[step, 0], tokens[step, 1])
        optimizer.zero_grad()
        loss.backward()
        if step == 0:
            numpy.concatenate([p[e["name"]].grad.numpy().ravel() for e in case["tensors"]]).astype("<f8").tofile(folder / "gradients.f64")
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(list(p.values()), case["clip"])
        for group in optimizer.param_groups:
            group["lr"] = rate(case, step)
        optimizer.step()
    numpy.array(losses, dtype="<f8").tofile(folder / "losses.f64")


if __name__ == "__main__":
    main()
