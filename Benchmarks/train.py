#!/usr/bin/env python3
"""Training steps of Assay beside PyTorch, on this machine, in one run.

Both train the same shape on the same number of threads, in turn; a pair is one run of each, every other pair the other way round, and the
median of the pairs' ratios counts. Profile i8 stands beside the faster of PyTorch's f32 and bf16 autocast.

Needs the program (`make build`) and an interpreter with PyTorch: --python, or ASSAY_PYTHON, or this one.
"""
import argparse, json, os, statistics, subprocess, sys

HERE = os.path.dirname(os.path.abspath(__file__))
STEPS = {"nano": 40, "char": 4, "gpt2": 4}


def tokens_per_second(command):
    result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"{' '.join(command)} ended with {result.returncode}:\n{result.stderr}")
    return json.loads(result.stdout)["tokensPerSecond"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=[*STEPS, "all"], default="all")
    parser.add_argument("--profile", choices=["f32", "i8"], default="f32")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--program", default=os.path.join(HERE, "../.build/release/assay"))
    parser.add_argument("--python", default=os.environ.get("ASSAY_PYTHON", sys.executable))
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()

    def ours(shape):
        return tokens_per_second([options.program, "bench", "train", "--shape", shape, "--profile", options.profile, "--threads", str(options.threads),
                                  "--steps", str(STEPS[shape]), "--json"])

    def theirs(shape, dtype):
        return tokens_per_second([options.python, os.path.join(HERE, "torch_gpt.py"), "--shape", shape, "--dtype", dtype, "--threads", str(options.threads),
                                  "--steps", str(STEPS[shape])])

    report = []
    for shape in STEPS if options.shape == "all" else [options.shape]:
        pairs = []
        for turn in range(options.pairs):
            dtypes = ["f32"] if options.profile == "f32" else ["f32", "bf16"]
            if turn % 2 == 0:
                us, them = ours(shape), max(theirs(shape, dtype) for dtype in dtypes)
            else:
                them = max(theirs(shape, dtype) for dtype in dtypes)
                us = ours(shape)
            pairs.append((us, them))
        row = {
            "shape": shape, "profile": options.profile, "threads": options.threads, "pairs": options.pairs,
            "assay": statistics.median(us for us, _ in pairs), "pytorch": statistics.median(them for _, them in pairs),
            "ratio": statistics.median(us / them for us, them in pairs),
        }
        report.append(row)
        if not options.json:
            print(f"{shape:5} {options.profile}  Assay {row['assay']:9,.1f} tokens/s  PyTorch {row['pytorch']:9,.1f} tokens/s  ratio {row['ratio']:.2f}", flush=True)
    if options.json:
        print(json.dumps(report))


if __name__ == "__main__":
    main()
