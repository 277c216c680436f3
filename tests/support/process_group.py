"""Processes of one gloo group, started by hand, since Paddle's launcher takes seconds."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path


def run_group(program: Path, arguments: Sequence[Sequence[object]], seconds: float = 240.0) -> None:
    """Run a program once for each list of arguments, as the processes of one group; all must succeed."""
    endpoints = [f"127.0.0.1:{port}" for port in _free_ports(len(arguments))]
    processes = []
    for rank, own in enumerate(arguments):
        group = {
            "PADDLE_TRAINER_ID": str(rank),
            "PADDLE_TRAINERS_NUM": str(len(arguments)),
            "PADDLE_CURRENT_ENDPOINT": endpoints[rank],
            "PADDLE_TRAINER_ENDPOINTS": ",".join(endpoints),
            "FLAGS_stop_check_timeout": "60",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, str(program), *map(str, own)]
        processes.append(subprocess.Popen(command, env=os.environ | group, stderr=subprocess.PIPE, text=True))
    try:
        for process in processes:
            _, errors = process.communicate(timeout=seconds)
            assert process.returncode == 0, errors
    finally:
        for process in processes:
            process.kill()


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    found = [int(one.getsockname()[1]) for one in sockets]
    for one in sockets:
        one.close()
    return found
