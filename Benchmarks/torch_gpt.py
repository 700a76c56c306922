#!/usr/bin/env python3
"""Whole training steps of the benchmark shapes in PyTorch, on the CPU; prints tokens per second as one line of JSON.

Needs `pip install torch==2.13.0+cpu` (or torch==2.13.0). The step is the one that `assay bench train` makes: loss, gradient, clip to norm 1,
AdamW, on tokens without meaning. PyTorch gets what makes it fast: fused attention, fused AdamW, gradients set to none.
"""
import argparse, json, statistics, time

import torch
from torch import nn
from torch.nn import functional

# vocabulary, context, width, heads, layers, sequences, biases: those of benchShape in Sources/Compute/Training/KernelBench.swift
SHAPES = {
    "nano": (65, 64, 128, 4, 4, 12, False),
    "char": (65, 256, 384, 6, 6, 16, False),
    "gpt2": (50_257, 64, 768, 12, 12, 4, True),
}


class Attention(nn.Module):
    def __init__(self, width, heads, biases):
        super().__init__()
        self.heads = heads
        self.qkv, self.projection = nn.Linear(width, 3 * width, bias=biases), nn.Linear(width, width, bias=biases)

    def forward(self, x):
        sequences, context, width = x.shape
        parts = self.qkv(x).view(sequences, context, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(*parts.unbind(0), is_causal=True)
        return self.projection(attended.transpose(1, 2).reshape(sequences, context, width))


class Block(nn.Module):
    def __init__(self, width, heads, biases):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(width, bias=biases), Attention(width, heads, biases))
        self.feed = nn.Sequential(nn.LayerNorm(width, bias=biases), nn.Linear(width, 4 * width, bias=biases), nn.GELU("tanh"), nn.Linear(4 * width, width, bias=biases))

    def forward(self, x):
        x = x + self.attention(x)
        return x + self.feed(x)


class Transformer(nn.Module):
    """GPT-2's shape: learned positions, norms before each part, the head tied to the tokens."""

    def __init__(self, vocabulary, context, width, heads, layers, biases):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads, biases) for _ in range(layers)))
        self.norm = nn.LayerNorm(width, bias=biases)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, inputs, targets):
        x = self.blocks(self.tokens(inputs) + self.positions.weight)
        logits = functional.linear(self.norm(x), self.tokens.weight)
        return functional.cross_entropy(logits.flatten(0, 1), targets.flatten())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=SHAPES, default="nano")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32", help="bf16 is autocast: parameters and optimizer stay f32")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=12, help="the median counts, after three to warm up")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(1)
    vocabulary, context, width, heads, layers, sequences, biases = SHAPES[options.shape]
    model = Transformer(vocabulary, context, width, heads, layers, biases)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW([{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}], lr=1e-3, betas=(0.9, 0.99), fused=True)
    inputs = torch.randint(vocabulary, (sequences, context))
    targets = (5 * inputs + 17) % vocabulary

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=options.dtype == "bf16"):
            loss = model(inputs, targets)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    seconds = []
    for _ in range(3 + options.steps):
        start = time.perf_counter()
        step()
        seconds.append(time.perf_counter() - start)
    print(json.dumps({
        "shape": options.shape, "dtype": options.dtype, "threads": options.threads, "torch": torch.__version__,
        "tokensPerSecond": sequences * context / statistics.median(seconds[3:]),
    }))


if __name__ == "__main__":
    main()
