"""Where `tinygrad_opt.kernels` lies in a checkout without symbolic links (Git for Windows)."""

from pathlib import Path


def find_kernels(path: list[str]) -> None:
    """Lets the package find `kernels/` beside its folder where no link to it could be made.

    `path`: the package's `__path__`. Git writes a small text file in place of a link it cannot
    make; an installed package holds the folder itself.
    """
    here = Path(path[0])
    if (here / "kernels").is_file() and (here.parent / "kernels" / "rule.py").is_file():
        path.append(str(here.parent))
