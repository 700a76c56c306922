#!/usr/bin/env python3
"""One AdamW arm of a gym file in PyTorch: the same first parameters, batches, schedule and evaluation, by the rules of Docs/Gym.md alone.

Usage: gym_reference.py GYM_FILE --data TEXT [--seed 1] [--steps N] [--dtype float32|float64] [--threads 1] [--progress]
Prints JSON: the training loss of every step, the validation losses by the steps at which the file asks for them, and the final one.
Needs torch (any version since 2.0) and numpy.
"""
import argparse
import hashlib
import json
import pathlib
import struct
import sys

import numpy
import torch

from torch_gradients import forward, rate


def philox(key, stream, counters):
    """Philox 4x32-10 of each counter (a numpy array), as four arrays of words."""
    mask = numpy.uint64(0xFFFFFFFF)
    counters = counters.astype(numpy.uint64)
    c = [counters & mask, counters >> numpy.uint64(32), numpy.full_like(counters, stream & 0xFFFFFFFF), numpy.full_like(counters, stream >> 32)]
    k = [key & 0xFFFFFFFF, key >> 32]
    for _ in range(10):
        first, second = c[0] * numpy.uint64(0xD2511F53), c[2] * numpy.uint64(0xCD9E8D57)
        c = [(second >> numpy.uint64(32)) ^ c[1] ^ numpy.uint64(k[0]), second & mask, (first >> numpy.uint64(32)) ^ c[3] ^ numpy.uint64(k[1]), first & mask]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c


def initial(shape, seed):
    """The first parameters: Docs/Kernels.md, θ(0). Names, shapes and order are those of Hugging Face's GPT2LMHeadModel."""
    width, tensors = shape["width"], [("wte.weight", shape["vocabulary"], shape["width"]), ("wpe.weight", shape["context"], shape["width"])]

    def norm(name):
        tensors.append((name + ".weight", 1, width))
        if shape["biases"]:
            tensors.append((name + ".bias", 1, width))

    def linear(name, inputs, outputs):
        tensors.append((name + ".weight", inputs, outputs))
        if shape["biases"]:
            tensors.append((name + ".bias", 1, outputs))

    for layer in range(shape["layers"]):
        norm(f"h.{layer}.ln_1")
        linear(f"h.{layer}.attn.c_attn", width, 3 * width)
        linear(f"h.{layer}.attn.c_proj", width, width)
        norm(f"h.{layer}.ln_2")
        linear(f"h.{layer}.mlp.c_fc", width, 4 * width)
        linear(f"h.{layer}.mlp.c_proj", 4 * width, width)
    norm("ln_f")
    total = sum(rows * columns for _, rows, columns in tensors)
    words = numpy.stack(philox(seed, 0, numpy.arange((total + 3) // 4)), axis=1).reshape(-1)[:total]
    values = ((words >> numpy.uint64(8)).astype(numpy.int64) * 2 + 1 - 0x1000000).astype(numpy.float32) * numpy.float32(float.fromhex("0x1.1bc77ap-29"))
    parameters, offset = {}, 0
    for name, rows, columns in tensors:
        part = values[offset:offset + rows * columns]
        offset += rows * columns
        if name.endswith(".bias"):
            part = numpy.zeros_like(part)
        elif rows == 1 and "ln_" in name:
            part = numpy.ones_like(part)
        elif name.endswith("c_proj.weight"):
            part = part * (numpy.float32(1) / numpy.sqrt(numpy.float32(2 * shape["layers"])))
        elif name.startswith("h."):
            part = part * (numpy.float32(50) / numpy.sqrt(numpy.float32(rows)))
        vector = rows == 1 and ("ln_" in name or name.endswith(".bias"))
        parameters[name] = (part.reshape((columns,) if vector else (rows, columns)), not vector)
    return parameters


class Text:
    def __init__(self, file, text):
        data = numpy.frombuffer(text, dtype=numpy.uint8)
        if file.get("data", {}).get("alphabet", "bytes") == "characters":
            symbols, data = numpy.unique(data, return_inverse=True)
            self.vocabulary = max(2, len(symbols))
        else:
            self.vocabulary = 256
        self.tokens = torch.from_numpy(data.astype(numpy.int64))
        self.training = int(len(data) * file.get("data", {}).get("trainingShare", 0.9))

    def batch(self, offsets, context):
        return (torch.stack([self.tokens[o:o + context] for o in offsets]), torch.stack([self.tokens[o + 1:o + context + 1] for o in offsets]))


def offset(seed, number, context, training):
    """Where the sequence with this number begins."""
    sequences = max(1, training // context - 1)
    number_of_pass, place = divmod(number, sequences)
    digest = hashlib.sha256(struct.pack("<I", 16) + b"assay/gym/pass/1" + struct.pack("<QQ", seed, number_of_pass)).digest()

    def words(counter):
        return [int(word[0]) for word in philox(int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:16], "little"), numpy.array([counter], dtype=numpy.uint64))]

    half = ((sequences - 1).bit_length() + 1) // 2
    mask = (1 << half) - 1
    low, high, _, _ = words(0)
    while True:
        left, right = place >> half, place & mask
        for turn in range(1, 5):
            left, right = right, left ^ (words(turn << 32 | right)[0] & mask)
        place = left << half | right
        if place < sequences:
            return ((min(context, training - sequences * context) * (high << 32 | low)) >> 64) + context * place


def validation(p, case, text, sequences):
    """Mean loss; every token of the part but its first is predicted once."""
    context, last = case["context"], len(text.tokens) - 1
    starts = list(range(text.training, last - context + 1, context))
    left = last - (starts[-1] + context)
    chosen = starts if sequences == 0 else starts[:sequences]
    total, count = 0.0, 0
    with torch.no_grad():
        for at in range(0, len(chosen), 32):
            x, y = text.batch(chosen[at:at + 32], context)
            total, count = total + forward(p, case, x, y).item() * y.numel(), count + y.numel()
        if left > 0 and (sequences == 0 or sequences > len(starts)):
            x, y = text.batch([last - context], context)
            ahead = forward(p, case, x, torch.where(torch.arange(context) < context - left, -100, y[0])[None]).item()
            total, count = total + ahead * left, count + left
    return total / count


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--progress", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    file = json.loads(pathlib.Path(args.file).read_text())
    text = Text(file, pathlib.Path(args.data).read_bytes())
    case = {"biases": False, "style": "gpt2", **file["model"], "vocabulary": text.vocabulary}
    if case["style"] != "gpt2":
        sys.exit(f"{args.file}: model.style is {case['style']}; this reference draws first parameters for gpt2 alone")
    steps, rows, context = file["steps"], file["rows"], case["context"]
    asked, evaluation = file.get("optimizer", {}), {"every": 100, "sequences": 0, "finalSequences": 0, **file.get("evaluation", {})}
    warmup = asked.get("warmupSteps", min(100, steps // 10))
    schedule = {"learningRate": 1e-3, "minimumLearningRate": asked.get("learningRate", 1e-3) / 10, "warmupSteps": warmup, "decaySteps": max(warmup + 1, steps), **asked}
    kind = getattr(torch, args.dtype)
    made = initial(case, args.seed)
    p = {name: torch.from_numpy(values.copy()).to(kind).requires_grad_() for name, (values, _) in made.items()}
    optimizer = torch.optim.AdamW(
        [{"params": [p[n] for n, (_, decays) in made.items() if decays], "weight_decay": asked.get("weightDecay", 0.1)},
         {"params": [p[n] for n, (_, decays) in made.items() if not decays], "weight_decay": 0.0}],
        lr=1.0, betas=(asked.get("beta1", 0.9), asked.get("beta2", 0.99)), eps=asked.get("epsilon", 1e-8))
    losses, judged = [], {"0": validation(p, case, text, evaluation["sequences"])}
    for step in range(min(steps, args.steps or steps)):
        x, y = text.batch([offset(args.seed, step * rows + row, context, text.training) for row in range(rows)], context)
        loss = forward(p, case, x, y)
        optimizer.zero_grad()
        loss.backward()
        losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(list(p.values()), asked.get("clip", 1.0))
        for group in optimizer.param_groups:
            group["lr"] = rate(schedule, step)
        optimizer.step()
        if step + 1 == steps or (step + 1) % evaluation["every"] == 0:
            judged[str(step + 1)] = validation(p, case, text, evaluation["sequences"])
            if args.progress:
                print(f"step {step + 1}: {judged[str(step + 1)]:.4f}", file=sys.stderr, flush=True)
    final = validation(p, case, text, evaluation["finalSequences"])
    json.dump({"losses": losses, "validation": judged, "final": final, "torch": torch.__version__}, sys.stdout)


if __name__ == "__main__":
    main()
