"""A tokenizer that needs no download."""

from __future__ import annotations

import subprocess
from pathlib import Path

_TOKENIZER = """
import sys
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
alphabet = pre_tokenizers.ByteLevel.alphabet()
trainer = trainers.BpeTrainer(vocab_size=500, special_tokens=["<end>"], initial_alphabet=alphabet)
text = "every request waits for its first token and then reads the stream to the end"
tokenizer.train_from_iterator([text] * 20, trainer)
fast = PreTrainedTokenizerFast(
    tokenizer_object=tokenizer, eos_token="<end>", bos_token="<end>", pad_token="<end>"
)
fast.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\\n{% endfor %}"
fast.save_pretrained(sys.argv[1])
"""


def make_tokenizer(python: str, path: Path) -> None:
    """Train a small byte-level tokenizer there, if there is none.

    Args:
        python: interpreter of an environment that has transformers.
        path: folder of the tokenizer.
    """
    if not (path / "tokenizer.json").exists():
        subprocess.run([python, "-c", _TOKENIZER, str(path)], check=True)
