"""The probe as a program by itself."""

import ast
import subprocess
import sys
from pathlib import Path

from ppresnet.hardware import probe


def test_probe_stands_alone(tmp_path: Path) -> None:
    (tmp_path / "probe.py").write_bytes(Path(probe.__file__).read_bytes())
    program = (
        "import runpy, sys; runpy.run_path('probe.py', run_name='probe');"
        "print(sorted({'paddle', 'ppresnet', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "['numpy']\n"


def test_no_neighbour_hides_what_the_probe_imports() -> None:
    # A program's own folder comes first in its module search path.
    tree = ast.parse(Path(probe.__file__).read_text())
    plain = {name.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    neighbours = {path.stem for path in Path(probe.__file__).parent.glob("*.py")}
    assert plain > {"ctypes", "json"}
    assert neighbours & (set(sys.stdlib_module_names) | plain) == set()
