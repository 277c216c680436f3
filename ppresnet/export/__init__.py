"""From a checkpoint to the files of a bundle: frozen programs, ONNX, golden tensors, parity and `deploy.json`."""
