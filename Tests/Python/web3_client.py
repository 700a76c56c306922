"""An unmodified web3.py and eth-account against a running node: arguments are its URL and a funded private key."""
import json
import pathlib
import sys
import time

from eth_account import Account
from eth_account.messages import encode_defunct
from eth_utils import keccak
from web3 import Web3
from web3.exceptions import ContractCustomError, Web3RPCError

url, faucet_key = sys.argv[1:3]
abi = json.loads((pathlib.Path(__file__).resolve().parents[2] / "Contracts/Staking/abi.json").read_text())
web3 = Web3(Web3.HTTPProvider(url))
faucet = Account.from_key(faucet_key)
info = web3.provider.make_request("assay_networkInfo", [])["result"]


def check(condition, what):
    if not condition:
        sys.exit(f"failed: {what}")
    print(f"ok: {what}")


def send(account, transaction):
    transaction |= {"from": account.address, "chainId": web3.eth.chain_id, "nonce": web3.eth.get_transaction_count(account.address, "pending")}
    signed = account.sign_transaction(transaction)
    return web3.eth.wait_for_transaction_receipt(web3.eth.send_raw_transaction(signed.raw_transaction), timeout=60, poll_latency=0.1)


check(web3.is_connected() and web3.eth.chain_id == int(info["chainId"], 16), "connects, and knows the chain id")
check(web3.eth.get_balance(faucet.address) > 10**21, "reads a balance")

owner, node_key = Account.create(), Account.create()
fees = {"maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 0}
before = web3.eth.get_balance(faucet.address)
receipt = send(faucet, {"to": owner.address, "value": 2000 * 10**18, "gas": 21000, **fees})
check(receipt.status == 1 and receipt.type == 2 and receipt.gasUsed == 21000, "an EIP-1559 transfer has its receipt")
check(web3.eth.get_balance(owner.address) == 2000 * 10**18, "the transfer arrived")
check(web3.eth.get_balance(faucet.address) == before - 2000 * 10**18 - receipt.gasUsed * receipt.effectiveGasPrice, "it cost what the receipt says")
block = web3.eth.get_block(receipt.blockNumber)
check(receipt.transactionHash in block.transactions and block.hash == receipt.blockHash, "the block lists it")
check(web3.eth.get_transaction(receipt.transactionHash)["from"] == faucet.address, "the transaction is served")

staking = web3.eth.contract(address=info["contracts"]["Staking"], abi=abi)
message = keccak(b"assay/node-key" + bytes.fromhex(info["genesis"][2:]) + bytes.fromhex(owner.address[2:]))
proof = node_key.sign_message(encode_defunct(message)).signature
call = staking.functions.registerTrainer(node_key.address, "web3", proof)

try:
    call.call({"from": owner.address, "value": 1})
    check(False, "a stake that is too low reverts")
except ContractCustomError as error:
    selector = keccak(text="StakeTooLow(uint256,uint256)")[:4]
    check(str(error.data).startswith("0x" + selector.hex()), "a stake that is too low reverts by the name StakeTooLow")

gas = call.estimate_gas({"from": owner.address, "value": 1000 * 10**18})
receipt = send(owner, call.build_transaction({"from": owner.address, "value": 1000 * 10**18, "gas": gas, **fees}))
check(receipt.status == 1, "a fresh account registers as a trainer with its stake")
events = staking.events.TrainerRegistered().get_logs(from_block=receipt.blockNumber, to_block=receipt.blockNumber)
check(len(events) == 1 and events[0].args.owner == owner.address and events[0].args.nodeKey == node_key.address and events[0].args.stake == 1000 * 10**18, "eth_getLogs has the event")
check(staking.functions.stakeOf(owner.address).call() == 1000 * 10**18, "the view shows the stake")
check(staking.functions.trainer(owner.address).call()[0] == node_key.address, "the view shows the node key")

receipt = send(owner, call.build_transaction({"from": owner.address, "value": 10**18, "gas": 500000, **fees}))
check(receipt.status == 0, "registering again fails, with a receipt")
try:
    web3.eth.send_raw_transaction(bytes.fromhex("03c0"))
    check(False, "an unknown transaction type is refused")
except (Web3RPCError, ValueError) as error:
    check("transaction type not supported" in str(error), "an unknown transaction type is refused in geth's words")
print("all done at", time.strftime("%H:%M:%S"))
