"""Prompts of set lengths, files in every form, and one clear line for every wrong one."""

import json
from pathlib import Path
from typing import Any

import pytest

from tokenline.errors import ConfigError
from tokenline_bench.config import FixedPrompt, PromptFile, Synthetic
from tokenline_bench.work.conversation import Message
from tokenline_bench.work.mooncake import BLOCK_TOKENS
from tokenline_bench.work.payloads import payload_form
from tokenline_bench.work.sources import open_work
from tokenline_stages import provider


def lines(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows))
    return path


def words(text: str) -> int:
    return len(text.split())


def test_synthetic_prompts_have_their_length_and_differ_from_the_start() -> None:
    work = open_work(Synthetic(input_tokens=50, input_spread=10, output_tokens=7), 3)
    turns = [work.conversation(number).turns[0] for number in range(100)]
    lengths = [words(turn.messages[0].text) for turn in turns]
    assert lengths == [turn.input_tokens for turn in turns]
    assert 40 <= min(lengths) < 45 < 55 < max(lengths) <= 60
    assert len({tuple(turn.messages[0].text.split()[:4]) for turn in turns}) == 100
    assert {turn.output_tokens for turn in turns} == {7}
    again = open_work(Synthetic(input_tokens=50, input_spread=10, output_tokens=7), 3)
    assert again.conversation(5) == work.conversation(5)


def test_shared_prefix_is_shared() -> None:
    work = open_work(Synthetic(input_tokens=30, shared_prefix_tokens=20), 0)
    first, second = (work.conversation(n).turns[0].messages[0].text.split() for n in (0, 1))
    assert first[:20] == second[:20]
    assert first[20:] != second[20:]
    assert len(first) == 30


def test_words_per_token_corrects_lengths() -> None:
    work = open_work(Synthetic(input_tokens=100, words_per_token=0.75), 0)
    assert words(work.conversation(0).turns[0].messages[0].text) == 75


def test_fixed_prompt_repeats() -> None:
    work = open_work(FixedPrompt(text="hello", output_tokens=3), 0)
    assert work.size == 1
    assert work.conversation(0) is work.conversation(9)


def test_prompts_from_json_lines(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "p.jsonl",
        {"prompt": "one"},
        {"text": "two", "max_tokens": 5},
        {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "three"}]},
        {"payload": {"messages": [], "top_k": 3}},
        "four",
    )
    work = open_work(PromptFile(path=str(path), output_tokens=9), 0)
    turns = [work.conversation(number).turns[0] for number in range(5)]
    assert work.size == 5
    assert [turn.output_tokens for turn in turns] == [9, 5, 9, None, 9]
    assert turns[2].messages == (Message("system", "s"), Message("user", "three"))
    assert turns[3].payload == {"messages": [], "top_k": 3}
    assert work.conversation(7) == work.conversation(2)


def test_sharegpt_asks_the_first_question(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    rows = [
        {
            "conversations": [
                {"from": "human", "value": "q1"},
                {"from": "gpt", "value": "a1"},
                {"from": "human", "value": "q2"},
            ]
        }
    ]
    path.write_text(json.dumps(rows))
    turn = open_work(PromptFile(path=str(path)), 0).conversation(0).turns
    assert [message.text for t in turn for message in t.messages] == ["q1"]


def test_conversations_are_replayed_turn_by_turn(tmp_path: Path) -> None:
    messages = [
        {"role": "system", "content": "s"},
        {"role": "user", "content": [{"type": "text", "text": "q1"}]},
        {"role": "assistant", "content": "a1"},
        {"role": "user", "content": "q2"},
        {"role": "assistant", "content": "a2"},
    ]
    path = lines(tmp_path / "c.jsonl", {"messages": messages})
    recorded = open_work(PromptFile(path=str(path)), 0).conversation(0)
    assert [[m.text for m in turn.messages] for turn in recorded.turns] == [["s", "q1"], ["q2"]]
    assert [turn.reply for turn in recorded.turns] == ["a1", "a2"]
    live = open_work(PromptFile(path=str(path), history="live"), 0).conversation(0)
    assert [turn.reply for turn in live.turns] == [None, None]


def test_mooncake_trace_has_times_and_equal_blocks(tmp_path: Path) -> None:
    path = lines(
        tmp_path / "m.jsonl",
        {"timestamp": 500, "input_length": 600, "output_length": 9, "hash_ids": [1, 2]},
        {"timestamp": 0, "input_length": 700, "output_length": 5, "hash_ids": [1, 3]},
        {"timestamp": 900, "text_input": "hello", "session_id": "a"},
        {"session_id": "a", "delay": 250, "input_length": 10, "output_length": 1},
    )
    work = open_work(PromptFile(path=str(path)), 0)
    assert work.times_s() == [0.0, 0.5, 0.9]
    early, late, session = (work.conversation(number) for number in range(3))
    texts = [c.turns[0].messages[0].text.split() for c in (early, late)]
    assert [len(text) for text in texts] == [700, 600]
    assert texts[0][:BLOCK_TOKENS] == texts[1][:BLOCK_TOKENS]
    assert texts[0][BLOCK_TOKENS:] != texts[1][BLOCK_TOKENS:]
    assert [turn.output_tokens for turn in (early.turns[0], late.turns[0])] == [5, 9]
    assert [turn.delay_s for turn in session.turns] == [0.0, 0.25]


def test_shuffle_follows_the_seed(tmp_path: Path) -> None:
    path = lines(tmp_path / "p.jsonl", *({"prompt": str(n)} for n in range(20)))

    def order(seed: int) -> list[str]:
        work = open_work(PromptFile(path=str(path), shuffle=True), seed)
        return [work.conversation(n).turns[0].messages[0].text for n in range(20)]

    assert order(1) == order(1) != order(2)
    assert sorted(order(1)) == sorted(map(str, range(20)))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is empty"),
        ("  \n \n", "is empty"),
        ("[]", "no prompts"),
        ("{nope", "line 1 is no JSON"),
        ('{"prompt": "a"}\n{"prompt"', "line 2 is no JSON"),
        ('{"prompt": ""}', "entry 1: no text"),
        ('{"something": 1}', "entry 1: no text"),
        ("17", "entry 1: expected an object"),
        ('{"prompt": "a", "max_tokens": 0}', "entry 1: max_tokens is 0"),
        ('{"messages": [{"role": "robot", "content": "x"}]}', "role 'robot'"),
        ('{"messages": []}', "no messages"),
        ('{"conversations": [{"from": "gpt", "value": "x"}]}', "no question"),
        ('{"timestamp": 0, "input_length": 0}', "input_length is 0; give 1 up to"),
        ('{"timestamp": 0, "input_length": 5, "output_length": 0}', "output_length is 0; give 1"),
        ('{"timestamp": "soon", "input_length": 5}', "entry 1"),
        (b"\xff\xfe", "no JSON"),
    ],
)
def test_bad_files_are_named_with_the_place(
    tmp_path: Path, content: str | bytes, complaint: str
) -> None:
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(ConfigError, match=complaint) as caught:
        open_work(PromptFile(path=str(path)), 0)
    assert "bad.jsonl" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot read prompts from .*absent"):
        open_work(PromptFile(path=str(tmp_path / "absent")), 0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Synthetic(input_tokens=0),
        lambda: Synthetic(output_tokens=0),
        lambda: Synthetic(input_tokens=5, input_spread=5),
        lambda: Synthetic(shared_prefix_tokens=-1),
        lambda: FixedPrompt(text=" "),
        lambda: FixedPrompt(text="x", output_tokens=0),
        lambda: PromptFile(path="x", output_tokens=0),
        lambda: PromptFile(path="x", words_per_token=0),
    ],
)
def test_work_out_of_range_is_refused(make: Any) -> None:
    with pytest.raises(ConfigError):
        make()


@pytest.mark.parametrize("name", ["openai", "vllm", "anthropic", "bedrock"])
def test_every_api_takes_its_form_of_request(name: str) -> None:
    known = provider(name)
    messages = [Message("system", "be brief"), Message("user", "hi"), Message("assistant", "yes")]
    for api in known.apis:
        if api.name in ("bedrock.invoke", "bedrock.completion"):
            continue
        form = payload_form(api.name, name)
        payload = form("anthropic.m" if name == "bedrock" else "m", messages, 12)
        assert api.accepts(payload), api.name
        assert "12" in json.dumps(payload)
        assert "be brief" in json.dumps(payload)
        assert "12" not in json.dumps(form("m", messages, None))


@pytest.mark.parametrize(
    ("api", "limit"),
    [
        ("gemini.generate_content", {"generationConfig": {"maxOutputTokens": 12}}),
        ("ollama.chat", {"options": {"num_predict": 12}}),
        ("ollama.generate", {"options": {"num_predict": 12}}),
        ("bedrock.converse", {"inferenceConfig": {"maxTokens": 12}}),
        ("openai.responses", {"max_output_tokens": 12}),
        ("anthropic.messages", {"max_tokens": 12}),
    ],
)
def test_limits_have_each_apis_name(api: str, limit: dict[str, Any]) -> None:
    payload = payload_form(api, "any")("m", [Message("user", "hi")], 12)
    assert limit.items() <= payload.items()


def test_openai_calls_the_limit_by_its_new_name() -> None:
    messages = [Message("user", "hi")]
    assert payload_form("openai.chat", "openai")("m", messages, 5)["max_completion_tokens"] == 5
    assert payload_form("openai.chat", "vllm")("m", messages, 5)["max_tokens"] == 5


def test_apis_without_a_form_say_what_to_do() -> None:
    with pytest.raises(ConfigError, match="payload"):
        payload_form("bedrock.invoke", "bedrock")


@pytest.mark.parametrize(
    ("row", "complaint"),
    [
        ({"prompt": "x", "output_tokens": True}, "output_tokens is True; expected 1 to"),
        ({"prompt": "x", "output_tokens": 10**30}, "output_tokens is 1"),
        ({"prompt": "x", "output_tokens": "9" * 5000}, "9999...; expected 1 to"),
        ({"messages": [{"from": ["human"], "value": 1}]}, "a message without text"),
        ({"timestamp": 0, "input_length": 10**12}, "input_length is 1000000000000; give 1 up to"),
        ({"timestamp": 0, "input_length": True}, "entry 1"),
        ({"timestamp": 0, "input_length": 5, "output_length": 10**12}, "output_length is 1"),
        ({"timestamp": -1, "input_length": 5}, "timestamp is -1; give 0 up to"),
        ({"timestamp": 1e300, "input_length": 5}, "timestamp is 1e+300; give 0 up to"),
        ({"timestamp": 0, "input_length": 5, "delay": -3}, "delay is -3; give 0 up to"),
    ],
)
def test_numbers_of_files_have_bounds(tmp_path: Path, row: Any, complaint: str) -> None:
    path = lines(tmp_path / "p.jsonl", row)
    with pytest.raises(ConfigError) as caught:
        open_work(PromptFile(path=str(path)), 0)
    assert complaint in str(caught.value)
    assert str(path) in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_byte_order_mark_is_no_mistake(tmp_path: Path) -> None:
    path = tmp_path / "p.jsonl"
    path.write_text('{"prompt": "one"}\n', encoding="utf-8-sig")
    turn = open_work(PromptFile(path=str(path)), 0).conversation(0).turns[0]
    assert turn.messages == (Message("user", "one"),)
    path.write_text("", encoding="utf-8-sig")
    with pytest.raises(ConfigError, match="is empty"):
        open_work(PromptFile(path=str(path)), 0)


def test_turns_of_a_session_are_sorted_by_their_times(tmp_path: Path) -> None:
    rows = [
        {"timestamp": 3000, "input_length": 1, "session_id": "s", "text_input": "third"},
        {"timestamp": 1000, "input_length": 1, "session_id": "s", "text_input": "first"},
        {"input_length": 1, "session_id": "s", "delay": 5, "text_input": "second"},
        {"timestamp": 2000, "input_length": 1, "text_input": "another"},
    ]
    path = lines(tmp_path / "m.jsonl", *rows)
    work = open_work(PromptFile(path=str(path), form="mooncake"), 0)
    assert work.times_s() == [1.0, 2.0]
    texts = [turn.messages[0].text for turn in work.conversation(0).turns]
    assert texts == ["first", "second", "third"]
