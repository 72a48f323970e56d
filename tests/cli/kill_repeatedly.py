"""Run a command in child processes and kill each with SIGKILL after a random while, until one finishes.

    python kill_repeatedly.py SHARE SAVE_SECONDS WORD ...

The command is first run undisturbed, with `whole` in place of its --out. SHARE is the longest while as a
share of what that took; SAVE_SECONDS what an adapter waits between two saves of its state. Prints how
often it killed, and how often in the middle of a seed. The children are forked after everything is imported,
so that a try costs milliseconds instead of seconds.
"""

import contextlib
import importlib
import os
import random
import signal
import sys
import time
from pathlib import Path

import prune_kit.training
import prune_kit_torch  # noqa: F401 - the children have it at once
from prune_kit_cli.main import cli

MOST_KILLS = 300


def start(words, modules=None):
    """Fork a child that runs the command; it may write down what it imported."""
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        cli(words)
    except SystemExit as end:
        code = end.code or 0
    if modules:
        modules.write_text("\n".join(sys.modules))
    sys.stdout.flush()
    os._exit(code)


def undisturbed(words, out, modules=None):
    begin = time.monotonic()
    words = [*words[: words.index("--out") + 1], out, *words[words.index("--out") + 2 :]]
    status = os.waitpid(start(words, modules), 0)[1]
    if status:
        sys.exit(f"not killed, it ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - begin


def main(share, save_seconds, words):
    prune_kit.training._SECONDS_BETWEEN_SAVES = save_seconds
    modules = Path("modules.txt")
    undisturbed(words, "warm", modules)
    for name in modules.read_text().splitlines():
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    longest = share * undisturbed(words, "whole")
    run = Path(words[words.index("--out") + 1])
    dice = random.Random(0)
    kills = in_a_seed = 0
    while kills < MOST_KILLS:
        child = start(words)
        end = time.monotonic() + dice.uniform(0, longest)
        while time.monotonic() < end:
            if (done := os.waitpid(child, os.WNOHANG))[0]:
                sys.stdout.write(f"{kills} {in_a_seed}\n")
                sys.exit(os.waitstatus_to_exitcode(done[1]))
            time.sleep(0.001)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        kills += 1
        in_a_seed += any(run.rglob("resume/*.pt"))
    sys.exit(f"not finished after {MOST_KILLS} kills")


if __name__ == "__main__":
    main(float(sys.argv[1]), float(sys.argv[2]), sys.argv[3:])
