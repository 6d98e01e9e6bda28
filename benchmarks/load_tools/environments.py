"""Virtual environments of the other tools, and a tokenizer that needs no download."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
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


class Environment:
    """A virtual environment with one tool, made by uv unless it is there.

    Args:
        folder: where environments live.
        package: what to install; also the name of the environment and of its command.
    """

    def __init__(self, folder: Path, package: str) -> None:
        self._path = folder / package
        self._package = package

    @property
    def command(self) -> str:
        """The tool's command."""
        return str(self._path / "bin" / self._package)

    @property
    def python(self) -> str:
        """The environment's interpreter."""
        return str(self._path / "bin" / "python")

    def make(self) -> None:
        """Make it and install the tool, if that was not done."""
        if Path(self.command).exists():
            return
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, self._path], check=True)
        subprocess.run(
            [uv, "pip", "install", "--quiet", "--python", self.python, self._package], check=True
        )

    def make_tokenizer(self, path: Path) -> None:
        """Train a small byte-level tokenizer there, if there is none."""
        if not (path / "tokenizer.json").exists():
            subprocess.run([self.python, "-c", _TOKENIZER, str(path)], check=True)


def clean_environment() -> dict[str, str]:
    """This process's variables, but nothing that changes another tool's imports or telemetry."""
    foreign = ("OTEL", "PYTHONPATH")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    return {**kept, "COLUMNS": "120"}
