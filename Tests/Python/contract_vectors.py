"""Encodes every call of Contracts/*/vectors/calls.json with eth-abi, from the types in abi.json, and hashes every event. Argument: the folder."""
import json
import pathlib
import sys

from eth_abi import encode
from eth_utils import keccak


def value(kind, said):
    if kind.endswith("[]"):
        return [value(kind[:-2], one) for one in said]
    if kind.startswith(("uint", "int")):
        return int(said)
    if kind.startswith("bytes"):
        return bytes.fromhex(said[2:])
    return said


agreed = 0
for folder in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    if not folder.is_dir():
        continue
    abi = json.loads((folder / "abi.json").read_text())
    vectors = json.loads((folder / "vectors" / "calls.json").read_text())
    named = {kind: {entry["name"]: [field["type"] for field in entry["inputs"]] for entry in abi if entry["type"] == kind} for kind in ("function", "event")}
    for call in vectors["calls"]:
        name = call["function"].split("(")[0]
        types = named["function"][name]
        signature = f"{name}({','.join(types)})"
        data = keccak(text=signature)[:4] + encode(types, [value(kind, said) for kind, said in zip(types, call["arguments"], strict=True)])
        assert signature == call["function"] and "0x" + data.hex() == call["data"], (folder.name, signature)
        agreed += 1
    for event in vectors["events"]:
        name = event["event"].split("(")[0]
        signature = f"{name}({','.join(named['event'][name])})"
        assert signature == event["event"] and "0x" + keccak(text=signature).hex() == event["topic"], (folder.name, signature)
        agreed += 1
print(agreed, "agree")
