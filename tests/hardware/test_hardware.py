"""The room as a whole: light, and without Paddle."""

import subprocess
import sys

from ppresnet import hardware


def test_hardware_imports_no_paddle_and_nothing_heavy() -> None:
    program = (
        "import sys; from ppresnet import hardware; hardware.mkl_library();"
        "print(sorted({'paddle', 'pydantic', 'yaml', 'PIL', 'rich', 'ppresnet.files'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_public_names_are_there_and_no_module_hides_one() -> None:
    assert [name for name in hardware.__all__ if type(getattr(hardware, name)).__name__ == "module"] == []
