"""What is shipped: the wheel, light imports, no clash with a user's own modules."""

import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

SCRIPT = """
import asyncio, pipeline, stages
assert pipeline.MINE and stages.MINE
import tokenline, tokenline_stages
assert "site-packages" not in tokenline.__file__ and {target!r} in tokenline.__file__
from tokenline.testing import ScriptedSource
from tokenline_stages import accumulator, consumer, provider

chat = provider("openai").api_named("chat")
chunk = b'data: {{"choices":[{{"index":0,"delta":{{"content":"it works"}}}}]}}'
body = chunk + b"\\n\\ndata: [DONE]\\n\\n"

async def main():
    line = (tokenline.PipelineBuilder().source(ScriptedSource([body])).parse(chat.parser())
            .normalize(chat.normalizer()).fan_out(consumer(), accumulator()).build())
    async with line.run({{}}) as run:
        print((await run.result()).text)

asyncio.run(main())
"""


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        timeout=100,
    )
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_both_packages_typed_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {"tokenline", "tokenline_stages"} <= tops
    assert not tops & {"pipeline", "stages", "tests"}
    for package in ("tokenline", "tokenline_stages"):
        assert f"{package}/py.typed" in names
    sources = [p for d in ("pipeline", "stages") for p in (ROOT / d).rglob("*.py")]
    assert {str(p.relative_to(ROOT / p.relative_to(ROOT).parts[0])) for p in sources} <= set(names)


def test_wheel_works_elsewhere_beside_modules_of_the_same_names(
    wheel: Path, tmp_path: Path
) -> None:
    target = tmp_path / "installed"
    zipfile.ZipFile(wheel).extractall(target)
    for name in ("pipeline", "stages"):
        (tmp_path / f"{name}.py").write_text("MINE = True\n")
    (tmp_path / "main.py").write_text(SCRIPT.format(target=str(target)))
    # -S keeps the editable install of this checkout out; dependencies come by path.
    start = f"import sys; sys.path[:0] = {[str(tmp_path), str(target)]!r};"
    start += f" sys.path.append({sysconfig.get_path('purelib')!r});"
    start += " import runpy; runpy.run_path('main.py', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-S", "-c", start],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "it works\n"


def imported_by(statement: str) -> set[str]:
    code = f"{statement}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return set(done.stdout.split())


def test_what_authors_of_providers_need_is_imported_late() -> None:
    import tokenline_stages

    names = ("DirectSource", "SdkSource", "SourceSpec", "Emission", "has")
    assert set(names) <= set(dir(tokenline_stages))
    for name in names:
        assert getattr(tokenline_stages, name).__name__ == name
    with pytest.raises(AttributeError, match="nothing"):
        tokenline_stages.nothing  # noqa: B018
    loaded = imported_by("import tokenline_stages")
    assert not loaded & {"tokenline_stages.direct", "tokenline_stages.source", "httptools"}


@pytest.mark.parametrize("statement", ["import tokenline", "import tokenline, tokenline_stages"])
def test_import_is_light(statement: str) -> None:
    loaded = imported_by(statement)
    heavy = ("openai", "anthropic", "grpc", "opentelemetry.sdk", "opentelemetry.exporter")
    assert not {name for name in loaded if name.startswith(heavy)}
    assert not loaded & {"aiohttp", "httpx2", "requests", "rich", "click", "aiostream"}
