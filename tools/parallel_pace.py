"""Time some training steps of a recipe on random images, in this process or in all that were started with it."""

import argparse
import statistics
import sys
import time
from contextlib import ExitStack

import numpy as np

from ppresnet import cli, hardware
from ppresnet.config import RunConfig, load
from ppresnet.hardware.malloc import settle
from ppresnet.train.outcome import recorded

WARM_UP, LEAST, MOST, ENOUGH_S = 2, 3, 20, 4.0


def main(arguments: argparse.Namespace) -> None:
    """Write images per second to `--json`, over all processes, the median of the counted steps."""
    place = hardware.place()
    with recorded(place, arguments.debug):
        config = load(arguments.config, arguments.overrides)
        settle(config.hardware.malloc)
        device = hardware.start(config.hardware.device, config.hardware.threads, _silent).device
        seconds = times(config, device)
        rate = config.train.batch_size / statistics.median(seconds)
        if place.rank == 0:
            cli.write_json(arguments, {"images_per_second": rate, "seconds": seconds})


def times(config: RunConfig, device: str) -> list[float]:
    """Return the seconds of each counted step."""
    from ppresnet.data import Batch
    from ppresnet.spec import spec_of
    from ppresnet.train.kernels import training_kernels
    from ppresnet.train.ranks import join
    from ppresnet.train.start import assemble_step

    ranks = join(device)
    size, channels, classes = config.data.input_size, config.model.in_channels, config.model.num_classes
    spec = spec_of(**config.model.model_dump(), input_size=size)
    own = ranks.share(np.arange(config.train.batch_size))
    rng = np.random.default_rng(ranks.rank)
    images = rng.standard_normal((len(own), channels, size, size), np.float32)
    batch = Batch(images, rng.integers(0, classes, len(own)), own, ())
    with ExitStack() as stack:
        stack.enter_context(training_kernels(config, _silent))
        step = assemble_step(config, spec, None, None, _silent, ranks=ranks)
        step.model.train()
        seconds: list[float] = []
        while len(seconds) < WARM_UP + LEAST or (len(seconds) < WARM_UP + MOST and sum(seconds[WARM_UP:]) < ENOUGH_S):
            start = time.perf_counter()
            step.run([batch], 0, len(seconds), 1e-6)
            # All take the time of the first, so that all stop at the same step.
            seconds.append(float(ranks.total(np.array([(time.perf_counter() - start) * ranks.first]))[0]))
    return seconds[WARM_UP:]


def _silent(_: str) -> None:
    return None


if __name__ == "__main__":
    sys.exit(cli.run(main, cli.parser(__doc__ or "", recipe=True).parse_args()))
