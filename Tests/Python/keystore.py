"""Opens a keystore with eth-account, and writes one. Input: {ours, theirs, password, key}; output: {opened}."""
import json
import sys

from eth_account import Account

asked = json.load(sys.stdin)
opened = Account.decrypt(open(asked["ours"]).read(), asked["password"])
json.dump(Account.encrypt(asked["key"], asked["password"], kdf="scrypt", iterations=4096), open(asked["theirs"], "w"))
json.dump({"opened": "0x" + bytes(opened).hex()}, sys.stdout)
