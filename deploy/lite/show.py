"""What a conversion found, as tables."""

from collections import Counter
from collections.abc import Sequence

from rich.table import Table

from deploy.lite.audit import LiteAudit
from deploy.lite.options import Options
from deploy.lite.prove import ProofRow


def audit_table(found: LiteAudit, options: Options) -> Table:
    """Return the counts of the audit, and how many sites each reason holds for."""
    columns = ("sites fused", "conv", "+act", "+residual", "add+act", "bn", "lone add", "lone act", "kernels")
    table = Table(
        *columns, "not one operator, and why", title=f"Paddle Lite, {options.label}: the operators it will run"
    )
    reasons = Counter(site.reason for site in found.unfused).most_common()
    numbers = (found.convs, found.with_act, found.with_residual, found.added, found.batch_norms, found.lone_adds)
    table.add_row(
        f"{found.fused} of {found.sites}",
        *(str(number) for number in numbers),
        str(sum(found.lone_acts.values())),
        "\n".join(f"{count} {kernel}" for kernel, count in found.kernels.items()),
        "\n".join(f"{count} x {reason}" for reason, count in reasons) or "-",
    )
    return table


def proof_table(rows: Sequence[ProofRow]) -> Table:
    """Return the comparisons with the golden tensors."""
    columns = ("runtime", "precision", "batch", "relative difference", "limit", "top-1 agreement", "status")
    table = Table(*columns, title="against the golden tensors of the bundle")
    for row in rows:
        table.add_row(
            row.runtime,
            row.precision,
            str(row.batch),
            f"{row.rel_diff:.1e}" if row.rel_diff is not None else "-",
            f"{row.limit:g}",
            f"{row.top1_agreement:.0f} %" if row.top1_agreement is not None else "-",
            row.status,
        )
    return table
