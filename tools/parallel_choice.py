"""One process or several: measured on the recipe's own network and batch, once for each kind of run and machine."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ppresnet import __version__, hardware
from ppresnet.config import RunConfig, dump, to_dict
from ppresnet.errors import PpresnetError, ProcessError, StorageError
from ppresnet.files import atomic_write
from ppresnet.hardware import MKL_VARIABLE, THREADS_VARIABLE
from ppresnet.hardware.cache import cache_path
from ppresnet.train.launch import launch

CLEARLY_FASTER = 1.1  # several processes take more memory, and measurements are noisy
ROUNDS = 2
ON_CPU = ("-o", "hardware.device=cpu")
PROGRAM = Path(__file__).with_name("parallel_pace.py")
_DECIDING = ("model", "train.batch_size", "data.input_size", "amp", "recompute", "hardware")


def chosen_count(config: RunConfig, report: Callable[[str], None]) -> int:
    """Return 1, or as many processes as there are cores for them where these are clearly faster.

    Args:
        config: the recipe.
        report: is given a line that says what was measured.
    """
    cores, threads = hardware.usable_cores(), config.hardware.threads
    most = min(cores // (threads if isinstance(threads, int) else 1), config.train.batch_size)
    if most < 2:
        report("1 process: there are no cores for more")
        return 1
    rates, source = _known(config, most)
    if rates is None:
        busy = os.getloadavg()[0] > cores / 2
        rates = _measured(config, most)
        source = "the cores were busy, so the next run measures again" if busy else _kept(config, most, rates)
    count = choose(rates)
    found = ", ".join(f"{number} process{'es' if number > 1 else ''} {rate:.1f}" for number, rate in rates.items())
    report(f"{count} process{'es' if count > 1 else ''}: images/s of this network and batch: {found}; {source}")
    return count


def choose(rates: Mapping[int, float]) -> int:
    """Return the number of processes to take, from images per second by number; 1 unless others are clearly faster."""
    best = max(rates, key=lambda number: rates[number])
    return best if rates[best] >= CLEARLY_FASTER * rates.get(1, 0.0) else 1


def pace(config: RunConfig, count: int) -> float:
    """Return the images per second of some training steps in so many fresh processes.

    Raises:
        ProcessError: they failed; the message says why.
    """
    with tempfile.TemporaryDirectory(prefix="ppresnet-") as folder:
        recipe, result = Path(folder) / "recipe.yaml", Path(folder) / "pace.json"
        recipe.write_text(dump(config), encoding="utf-8")
        arguments = ["-c", str(recipe), "--json", str(result)]
        if count > 1:
            launch(PROGRAM, [*arguments, *ON_CPU], count)
        else:
            _alone(arguments)
        return float(json.loads(result.read_bytes())["images_per_second"])


def _alone(arguments: list[str]) -> None:
    done = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ProcessError(done.stderr.strip().removeprefix("error: "), done.returncode)


def _measured(config: RunConfig, most: int) -> dict[int, float]:
    """Return the best rate of each number of processes, measured in turn; a number that fails is left out."""
    from parallel import share_cores

    rates: dict[int, float] = {}
    for _ in range(ROUNDS):
        for count in (1, most):
            before = {name: os.environ.get(name) for name in (MKL_VARIABLE, THREADS_VARIABLE)}
            try:
                if count > 1:
                    share_cores(count, config)
                rates[count] = max(rates.get(count, 0.0), pace(config, count))
            except PpresnetError:
                if count == 1:
                    raise
            finally:
                _restore(before)
    return rates


def _restore(variables: Mapping[str, str | None]) -> None:
    for name, value in variables.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _path() -> Path:
    return cache_path().with_name("processes.json")


def _key(config: RunConfig, most: int) -> str:
    """Return what the rates depend on, in short."""
    values: dict[str, Any] = to_dict(config)
    parts = [__version__, hardware.paddle_version(), hardware.cpu_identity(), str(most)]
    for name in _DECIDING:
        section, _, key = name.partition(".")
        parts.append(json.dumps(values[section][key] if key else values[section], sort_keys=True))
    parts += [os.environ.get(name, "") for name in (MKL_VARIABLE, THREADS_VARIABLE)]
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def _stored() -> dict[str, Any]:
    with suppress(OSError, ValueError):
        found = json.loads(_path().read_bytes())
        if isinstance(found, dict):
            return found
    return {}


def _known(config: RunConfig, most: int) -> tuple[dict[int, float] | None, str]:
    try:
        rates = {int(number): float(rate) for number, rate in _stored()[_key(config, most)].items()}
    except (KeyError, AttributeError, TypeError, ValueError):
        return None, ""
    return (rates, "known from before") if set(rates) <= {1, most} and 1 in rates else (None, "")


def _kept(config: RunConfig, most: int, rates: Mapping[int, float]) -> str:
    """Write the rates, and say how that went."""
    stored = _stored() | {_key(config, most): rates}
    try:
        _path().parent.mkdir(parents=True, exist_ok=True)
        atomic_write(_path(), json.dumps(dict(list(stored.items())[-64:]), indent=1) + "\n")
    except (OSError, StorageError) as error:
        return f"not kept for the next run: {error}"
    return f"kept in {_path()}"
