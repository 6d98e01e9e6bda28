"""Ctrl-C before the command has begun: while its modules are imported."""

import signal
import subprocess
import sys
import threading

import pytest

from tokenline_command import ended_by_ctrl_c

START = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, *rest):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from tokenline_command import main
sys.argv[1:] = ["bench", "--model", "m"]
main()
"""


@pytest.mark.parametrize(
    "module",
    ["tokenline_stages", "tokenline_stages.cli.app", "tokenline_bench.command", "plotly", "numpy"],
)
def test_ctrl_c_during_an_import_is_one_line(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", START.format(module=module)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ended_by_ctrl_c():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_a_handler_of_somebody_else_stays() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_ctrl_c():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_may_import_too() -> None:
    found = []

    def run() -> None:
        with ended_by_ctrl_c():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.default_int_handler]
