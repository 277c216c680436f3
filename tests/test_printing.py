"""What every command does around its work."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PRINTS = """
import sys
from ppresnet import cli
def main(arguments):
    print(arguments.debug, b"caf\\xe9.png".decode("utf-8", "surrogateescape"), "\N{MULTIPLICATION SIGN}")
sys.exit(cli.run(main, cli.parser("Prints.").parse_args()))
"""


def test_names_that_cannot_be_encoded_are_printed_as_escapes() -> None:
    for encoding, sign in (("utf-8", "\N{MULTIPLICATION SIGN}"), ("ascii", "\\xd7")):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": f"{encoding}:strict"}
        done = subprocess.run([sys.executable, "-c", PRINTS], env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        assert done.stdout.decode() == f"False caf\\udce9.png {sign}\n"
