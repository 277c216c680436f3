"""CPU training kernels: the oneDNN that the Paddle wheel brings, by its C API; layers and models do not know of it.

Paddle (2.6 to 3.3) trains on MKLML of 2019 with single-threaded loops around it, and keeps its oneDNN for inference.
Here the tensors' own memory is handed to oneDNN's convolutions, batch normalisations and ReLUs.
"""

from ppresnet.onednn.kernels import Kernels
from ppresnet.onednn.library import Library, OneDnnError
from ppresnet.onednn.switch import active, disable, enable, open_library

__all__ = ["Kernels", "Library", "OneDnnError", "active", "disable", "enable", "open_library"]
