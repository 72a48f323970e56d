import os
import socket
import subprocess
import sys

import pytest


@pytest.fixture
def in_two_processes():
    """Runs a test file as a script in two processes that train together, as torchrun would start them."""

    def run(file, folder):
        with socket.socket() as found:
            found.bind(("127.0.0.1", 0))
            port = found.getsockname()[1]
        address = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        started = [
            subprocess.Popen(
                [sys.executable, file, str(folder)],
                env={
                    **os.environ,
                    **address,
                    "RANK": str(rank),
                    "LOCAL_RANK": str(rank),
                    "ACCELERATE_USE_CPU": "1",
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for rank in range(2)
        ]
        try:
            for process in started:
                said, _ = process.communicate(timeout=200)
                assert process.returncode == 0, said
        finally:
            for process in started:
                process.kill()

    return run
