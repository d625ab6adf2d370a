"""A guided tour of the source, chapter by chapter, each with an exercise that is judged.

python -m tinygrad_opt tour             the chapters, and which are solved
python -m tinygrad_opt tour 3           chapter 3; lays its exercise into ./tiny_tour
python -m tinygrad_opt tour check 3     judges what stands there

It begins with `hundred_lines.py`, autograd in a hundred lines. `chapters/` holds the texts, and the
exercises as they are laid; `checks/` judges them.
"""
