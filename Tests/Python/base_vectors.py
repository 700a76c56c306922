"""Answers, by other people's packages, to what the Swift tests ask: one JSON object in, one out."""
import json
import random
import sys

from eth_abi import encode as abi_encode
from eth_account import Account
from eth_utils import keccak
from pymerkle import InmemoryTree


def transactions(chain_id, count):
    """Signed transactions of types 0, 1 and 2 by eth-account, with what they say."""
    chance = random.Random(1)
    out = []
    for number in range(count):
        account = Account.from_key(keccak(text=f"key {number}"))
        fields = {
            "nonce": chance.choice([0, 1, 127, 128, 2**40 + 7]),
            "gas": chance.choice([21000, 1_000_000]),
            "to": Account.from_key(keccak(text=f"to {number}")).address,
            "value": chance.choice([0, 1, 10**18, 2**200]),
            "data": "0x" + chance.randbytes(chance.choice([0, 1, 55, 56, 300])).hex(),
            "chainId": chain_id,
        }
        kind = number % 3
        if kind == 2:
            fields |= {"type": 2, "maxFeePerGas": 3 * 10**9, "maxPriorityFeePerGas": chance.choice([0, 10**9])}
        else:
            fields |= {"gasPrice": 2 * 10**9}
            if kind == 1:
                fields |= {"type": 1, "accessList": [{"address": fields["to"], "storageKeys": ["0x" + "01" * 32]}]}
        signed = account.sign_transaction(fields)
        out.append({
            "raw": signed.raw_transaction.hex(), "hash": signed.hash.hex(), "sender": account.address, "kind": kind,
            "to": fields["to"], "nonce": str(fields["nonce"]), "value": str(fields["value"]), "data": fields["data"][2:],
        })
    return out


def dynamic_fee(request):
    """One transaction that Swift signed too."""
    account = Account.from_key(request["key"])
    return account.sign_transaction(request["fields"]).raw_transaction.hex()


def abi(count):
    chance = random.Random(2)
    out = []
    for _ in range(count):
        number, flag, small = chance.randrange(2**256), chance.random() < 0.5, chance.randrange(-(2**63), 2**63)
        blob, word = chance.randbytes(chance.randrange(70)), chance.randbytes(32)
        text = "".join(chance.choice("aä€😀z") for _ in range(chance.randrange(40)))
        numbers = [chance.randrange(2**64) for _ in range(chance.randrange(4))]
        blobs = [chance.randbytes(chance.randrange(40)) for _ in range(chance.randrange(3))]
        encoded = abi_encode(
            ["uint256", "bool", "int64", "bytes", "bytes32", "string", "uint64[]", "(uint64,bytes)[]"],
            [number, flag, small, blob, word, text, numbers, [(7, b) for b in blobs]])
        out.append({
            "number": str(number), "flag": flag, "small": str(small), "blob": blob.hex(), "word": word.hex(), "text": text,
            "numbers": [str(n) for n in numbers], "blobs": [b.hex() for b in blobs], "encoded": encoded.hex(),
        })
    return out


def merkle(count):
    """pymerkle's RFC 6962 roots and inclusion proofs for a growing tree of the leaves b"leaf <i>"."""
    tree = InmemoryTree(algorithm="sha256")
    roots, inclusion = [], []
    for index in range(count):
        tree.append_entry(f"leaf {index}".encode())
        roots.append(tree.get_state().hex())
    for index in range(count):
        inclusion.append([digest.hex() for digest in path(tree.prove_inclusion(index + 1, count))])
    return {"roots": roots, "inclusion": inclusion}


def path(proof):
    digests = proof.path if hasattr(proof, "path") else proof.serialize()["path"]
    return [bytes.fromhex(d) if isinstance(d, str) else d for d in digests]


request = json.load(sys.stdin)
json.dump({
    "transactions": transactions(request["chainId"], 60),
    "dynamicFee": [dynamic_fee(one) for one in request["dynamicFee"]],
    "abi": abi(60),
    "merkle": merkle(21),
    "keccak": [keccak(bytes.fromhex(text)).hex() for text in request["keccak"]],
}, sys.stdout)
