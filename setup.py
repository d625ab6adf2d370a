"""All settings stand in pyproject.toml, but for one: a checkout without symbolic links.

`tinygrad_opt/kernels` is a link to `kernels/`. Git for Windows writes a text file in its place
unless Developer Mode and `core.symlinks` are on; the folder is then named here instead.
"""

from setuptools import find_packages, setup

LINK, FOLDER = "tinygrad_opt.kernels", "kernels"

# An editable install of a package_dir of "." is a path that type checkers and editors read, too.
packages, package_dir = find_packages(include=["tinygrad_opt", "tinygrad_opt.*"]), {"": "."}
if LINK not in packages:
    packages += [LINK, *(f"{LINK}.{name}" for name in find_packages(FOLDER))]
    package_dir[LINK] = FOLDER
setup(packages=packages, package_dir=package_dir)
