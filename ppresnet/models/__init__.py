"""The model zoo: one file a family, weight import, and `create`."""

from ppresnet.models.cost import Cost, cost
from ppresnet.models.create import build, create
from ppresnet.models.frozen import freeze, freeze_norms
from ppresnet.models.group_norm import GroupNormWeights, to_group_norm
from ppresnet.models.import_weights import ImportReport, import_weights

__all__ = [
    "Cost",
    "GroupNormWeights",
    "ImportReport",
    "build",
    "cost",
    "create",
    "freeze",
    "freeze_norms",
    "import_weights",
    "to_group_norm",
]
