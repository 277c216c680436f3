"""The model zoo: one file a family, weight import, and `create`."""

from ppresnet.models.cost import Cost, cost
from ppresnet.models.create import build, create
from ppresnet.models.import_weights import ImportReport, import_weights

__all__ = ["Cost", "ImportReport", "build", "cost", "create", "import_weights"]
