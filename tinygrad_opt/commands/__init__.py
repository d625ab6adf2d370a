"""What `python -m tinygrad_opt` does: tell of the installation, and look into update rules.

python -m tinygrad_opt                              what a bug report needs
python -m tinygrad_opt show adam --asm              a rule's text, LLVM, assembly, PTX
python -m tinygrad_opt bench adam mine.py:my_rule   how fast rules are, and why
python -m tinygrad_opt warmup                       compile what training needs, ahead of it
python -m tinygrad_opt playground                   two optimizers race in your browser
python -m tinygrad_opt tour                         a guided tour of the source, with exercises
"""

from .line import main

__all__ = ["main"]
