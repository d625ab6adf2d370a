"""`python -m tinygrad_opt`: what a bug report needs; and commands that look into update rules."""

from .commands import main

if __name__ == "__main__":
    main()
