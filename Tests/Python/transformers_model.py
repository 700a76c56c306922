#!/usr/bin/env python3
"""A model in Hugging Face transformers, for a Swift test to compare with.

Usage: transformers_model.py loss FOLDER        loads FOLDER with from_pretrained and prints its loss on FOLDER/tokens.u16
       transformers_model.py make FOLDER STYLE  writes a small new model of STYLE (gpt2 or llama) with save_pretrained, and prints the same
tokens.u16 holds sequences of FOLDER/sequence.json's `context` + 1 tokens. Needs torch, transformers and numpy; reads nothing from a network.
"""
import json
import os
import pathlib
import sys

os.environ["HF_HUB_OFFLINE"] = "1"
import numpy
import torch
import transformers


def made(style, context):
    torch.manual_seed(7)
    if style == "gpt2":
        return transformers.GPT2LMHeadModel(transformers.GPT2Config(
            vocab_size=256, n_positions=context, n_embd=32, n_layer=2, n_head=4, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, initializer_range=0.1,
            bos_token_id=None, eos_token_id=None))
    return transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=256, max_position_embeddings=context, hidden_size=32, intermediate_size=80, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, rms_norm_eps=1e-5, initializer_range=0.1, tie_word_embeddings=False, bos_token_id=None, eos_token_id=None))


def main():
    folder = pathlib.Path(sys.argv[2])
    context = json.loads((folder / "sequence.json").read_text())["context"]
    if sys.argv[1] == "make":
        made(sys.argv[3], context).save_pretrained(folder)
    model, report = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, output_loading_info=True)
    model.eval()
    tokens = torch.from_numpy(numpy.fromfile(folder / "tokens.u16", dtype="<u2").astype("i8")).view(-1, context + 1)
    with torch.no_grad():
        logits = model(input_ids=tokens[:, :-1]).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1).double(), tokens[:, 1:].flatten())
    missing = sorted(str(name) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys") for name in report[kind])
    print(json.dumps({"loss": loss.item(), "missing": missing, "kind": type(model).__name__}))


if __name__ == "__main__":
    main()
