"""Writes scripts.json: what the scripts in tests/porting/scripts give with PyTorch.

make golden          (needs the extra `peers`)
"""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path

HERE = Path(__file__).parent


def main():
    sys.path.insert(0, str(HERE.parent / "porting"))
    import test_scripts

    warnings.simplefilter("ignore")
    made = {
        path.stem: [round(float(value), 6) for value in test_scripts.run(path, change=False)]
        for path in test_scripts.SCRIPTS
    }
    (HERE / "scripts.json").write_text(json.dumps(made, indent=1) + "\n")
    print("scripts.json:", ", ".join(made))


if __name__ == "__main__":
    main()
