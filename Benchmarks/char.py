#!/usr/bin/env python3
"""The char model trained by Assay and by PyTorch on the same batches, and both validation losses over the whole validation split.

Needs the program (`make build`), tiny Shakespeare, and a Python with torch and numpy (Tests/Python/requirements.txt; `make test` makes one in .build/python).
Usage: char.py --data tinyshakespeare.txt [--program .build/release/assay] [--gym Gym/char.json] [--out DIR] [--threads 1] [--json]
Both take the first parameters and the batches from the same rules (Docs/Gym.md), computed by each on its own.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--program", default=str(ROOT / ".build/release/assay"))
    parser.add_argument("--gym", default=str(ROOT / "Gym/char.json"))
    parser.add_argument("--out", help="directory for the gym's files, kept; by default a temporary one")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    arm = json.loads(pathlib.Path(args.gym).read_text())["arms"][0]["name"]
    with tempfile.TemporaryDirectory() as temporary:
        ours = json.loads(subprocess.run(
            [args.program, "gym", args.gym, "--data", args.data, "--out", args.out or temporary, "--arms", arm, "--seeds", str(args.seed), "--threads", str(args.threads), "--json"],
            check=True, stdout=subprocess.PIPE).stdout)
    line = next(line for line in ours["lines"] if line["arm"] == arm)
    theirs = json.loads(subprocess.run(
        [sys.executable, str(ROOT / "Tests/Python/gym_reference.py"), args.gym, "--data", args.data, "--seed", str(args.seed), "--threads", str(args.threads), "--dtype", args.dtype, "--progress"],
        check=True, stdout=subprocess.PIPE).stdout)
    report = {"assay": line["validationLosses"][line["seeds"].index(args.seed)], "torch": theirs["final"], "steps": line["steps"], "seed": args.seed, "profile": ours["profile"], "torchVersion": theirs["torch"]}
    report["difference"] = report["assay"] - report["torch"]
    if args.json:
        print(json.dumps(report, indent=2))
    else:
        print(f"validation loss after {report['steps']} steps, seed {args.seed}, over the whole validation split")
        print(f"  Assay   {report['assay']:.4f}  ({report['profile']})\n  PyTorch {report['torch']:.4f}  ({args.dtype}, {report['torchVersion']})\n  difference {report['difference']:+.4f}")


if __name__ == "__main__":
    main()
