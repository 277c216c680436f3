"""What a checkpoint holds of a network: its tensors as numpy arrays, and back."""

import hashlib
from collections.abc import Mapping

import numpy as np
import paddle
from paddle import nn

from ppresnet.checkpoint.store import Checkpoint
from ppresnet.errors import CheckpointError
from ppresnet.models import build
from ppresnet.spec import ModelSpec, spec_from_dict


def weights_of(model: nn.Layer) -> dict[str, np.ndarray]:
    """Return the parameters and running statistics by structured name."""
    return {name: np.asarray(tensor) for name, tensor in model.state_dict().items()}


def restore_weights(model: nn.Layer, weights: Mapping[str, np.ndarray]) -> None:
    """Load `weights_of` another network of the same spec.

    Raises:
        CheckpointError: a tensor is missing, left over or of another shape; nothing was loaded.
    """
    own = model.state_dict()
    expected = {name: list(tensor.shape) for name, tensor in own.items()}
    found = {name: list(array.shape) for name, array in weights.items()}
    wrong = [
        f"'{name}': the model needs {expected.get(name, 'no such one')}, the checkpoint has {found.get(name, 'none')}"
        for name in sorted(expected.keys() | found.keys())
        if expected.get(name) != found.get(name)
    ]
    if wrong:
        raise CheckpointError("the checkpoint does not fit the model:\n" + "\n".join(wrong[:10]))
    model.set_state_dict({name: paddle.to_tensor(array).astype(own[name].dtype) for name, array in weights.items()})


def weights_sha(weights: Mapping[str, np.ndarray]) -> str:
    """Return a sha256 over names, shapes, dtypes and bytes of all tensors."""
    digest = hashlib.sha256()
    for name, array in sorted(weights.items()):
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def spec_of_checkpoint(checkpoint: Checkpoint) -> ModelSpec:
    """Return the architecture that the checkpoint's weights belong to."""
    return spec_from_dict(checkpoint.spec)


def final_weights(checkpoint: Checkpoint) -> dict[str, np.ndarray]:
    """Return the weights to use: the moving average where the run kept one, else what was trained."""
    return {**checkpoint.weights, **checkpoint.ema}


def model_of(checkpoint: Checkpoint) -> nn.Layer:
    """Return the network of a checkpoint, in evaluation mode, with the moving average where there is one.

    Raises:
        CheckpointError: the weights do not fit the stored spec.
    """
    model = build(spec_of_checkpoint(checkpoint))
    restore_weights(model, final_weights(checkpoint))
    model.eval()
    return model
