"""Writes two tiny llama models for llama.cpp's own server, so that no test downloads one.

`random_model`: random weights over a byte vocabulary: odd bytes, characters cut between tokens.
`scripted_model`: weights that make token n+1 follow token n: the server says exactly a script.
Such a model is one-hot embeddings, layers that add nothing, and an output matrix with one large
weight from each token to its successor; it answers as scripted at temperature 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
SPACE = "▁"
LETTERS = (
    SPACE + "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?{}[]\"'()-_/<>|\n"
)
END = "</s>"

TEXT_MARK, TOOL_MARK = "<|say_text|>", "<|call_tools|>"
SCRIPTS: dict[str, list[str | int]] = {
    # The four bytes of one emoji as four tokens, then plain words.
    TEXT_MARK: ["Good", " day", ", ", 0xF0, 0x9F, 0x9A, 0x80, " over", " and", " out", END],
    TOOL_MARK: [
        *("<tool_call>\n", '{"name": ', '"look_up"', ', "arguments": ', '{"place": "', "Oslo"),
        *(
            '", "days": ',
            "2}",
            "}\n",
            "</tool_call>",
            "\n<tool_call>\n",
            '{"name":  ',
            '"tell_time"',
        ),
        *(', "arguments":  ', '{"zone": "', "Europe/", 'Oslo"}', "}\n ", "</tool_call> ", END),
    ],
}
# The form llama.cpp knows as Hermes: it looks for these tags to find out how a model calls tools.
CHAT_TEMPLATE = """\
{%- if tools -%}
<|im_start|>system
You may call functions. Signatures, one a line:
<tools>
{%- for tool in tools %}
{{ tool | tojson }}
{%- endfor %}
</tools>
Answer each call as a JSON object in tags:
<tool_call>
{"name": <function-name>, "arguments": <args-json-object>}
</tool_call><|im_end|>
{% endif -%}
{%- for message in messages -%}
{%- if message.tool_calls -%}
<|im_start|>assistant
{%- for call in message.tool_calls %}
<tool_call>
{"name": "{{ call.function.name }}", "arguments": {{ call.function.arguments | tojson }}}
</tool_call>
{%- endfor %}<|im_end|>
{% elif message.role == "tool" -%}
<|im_start|>user
<tool_response>
{{ message.content }}
</tool_response><|im_end|>
{% else -%}
<|im_start|>{{ message.role }}
{{ message.content }}<|im_end|>
{% endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
<|im_start|>assistant
{% if tools %}<|call_tools|>{% else %}<|say_text|>{% endif %}
{%- endif -%}
"""


@dataclass
class Vocabulary:
    """Tokens of a sentence-piece vocabulary with byte fallback."""

    tokens: list[bytes] = field(default_factory=list)
    types: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)

    def add(self, text: str, kind: int, score: float) -> int:
        self.tokens.append(text.encode())
        self.types.append(kind)
        self.scores.append(score)
        return len(self.tokens) - 1

    @classmethod
    def of_bytes(cls) -> Vocabulary:
        made = cls()
        for text, kind in (("<unk>", UNKNOWN), ("<s>", CONTROL), (END, CONTROL)):
            made.add(text, kind, 0.0)
        for value in range(256):
            made.add(f"<0x{value:02X}>", BYTE, 0.0)
        for letter in LETTERS:
            made.add(letter, NORMAL, -1000.0)
        return made


FIRST_BYTE, END_TOKEN = 3, 2


def _writer(path: Path, words: Vocabulary, width: int, heads: int, layers: int) -> gguf.GGUFWriter:
    writer = gguf.GGUFWriter(str(path), "llama")
    writer.add_context_length(8192)
    writer.add_embedding_length(width)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(64)
    writer.add_head_count(heads)
    writer.add_head_count_kv(heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(width // heads)
    writer.add_vocab_size(len(words.tokens))
    writer.add_file_type(0)
    writer.add_tokenizer_model("llama")
    writer.add_token_list(words.tokens)
    writer.add_token_scores(words.scores)
    writer.add_token_types(words.types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(END_TOKEN)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_space_prefix(False)
    return writer


def _layers(width: int, layers: int, rng: np.random.Generator | None) -> dict[str, np.ndarray]:
    def matrix(rows: int, columns: int) -> np.ndarray:
        if rng is None:
            return np.zeros((rows, columns), np.float32)
        return (rng.standard_normal((rows, columns)) * 0.5).astype(np.float32)

    found: dict[str, np.ndarray] = {"output_norm.weight": np.ones(width, np.float32)}
    for layer in range(layers):
        for norm in ("attn_norm", "ffn_norm"):
            found[f"blk.{layer}.{norm}.weight"] = np.ones(width, np.float32)
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            found[f"blk.{layer}.{name}.weight"] = matrix(width, width)
        for name in ("ffn_gate", "ffn_up"):
            found[f"blk.{layer}.{name}.weight"] = matrix(64, width)
        found[f"blk.{layer}.ffn_down.weight"] = matrix(width, 64)
    return found


def _write(writer: gguf.GGUFWriter, tensors: dict[str, np.ndarray]) -> None:
    for name, tensor in tensors.items():
        writer.add_tensor(name, tensor)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random_model(path: Path, *, width: int = 64, layers: int = 2) -> None:
    """A model that says anything, in bytes; wider and deeper is slower."""
    words = Vocabulary.of_bytes()
    for rank, word in enumerate(("hello", "the", "token", "stream", "é", "日本", "🙂")):
        words.add(SPACE + word, NORMAL, -1.0 - rank)
    rng = np.random.default_rng(11)
    writer = _writer(path, words, width, heads=4, layers=layers)
    writer.add_chat_template(
        "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
    )
    size = len(words.tokens)
    tensors = _layers(width, layers, rng)
    tensors["token_embd.weight"] = rng.standard_normal((size, width)).astype(np.float32)
    tensors["output.weight"] = (rng.standard_normal((size, width)) * 0.05).astype(np.float32)
    _write(writer, tensors)


def scripted_model(path: Path) -> None:
    """A model that says what `SCRIPTS` says: text without tools, two calls with tools."""
    words = Vocabulary.of_bytes()
    follows: dict[int, int] = {}
    for mark, script in SCRIPTS.items():
        current = words.add(mark, CONTROL, -1e6)
        for step in script:
            if isinstance(step, int):
                token = FIRST_BYTE + step
            elif step == END:
                token = END_TOKEN
            else:
                token = words.add(step.replace(" ", SPACE), NORMAL, -2000.0)
            follows[current] = token
            current = token
    size = len(words.tokens)
    width = -(-size // 64) * 64
    writer = _writer(path, words, width, heads=8, layers=1)
    writer.add_chat_template(CHAT_TEMPLATE)
    tensors = _layers(width, 1, None)
    tensors["token_embd.weight"] = np.eye(size, width, dtype=np.float32)
    successors = np.zeros((size, width), np.float32)
    for token in range(size):
        successors[follows.get(token, END_TOKEN), token] = 20.0
    tensors["output.weight"] = successors
    _write(writer, tensors)
