"""`python -m tinygrad_opt` prints what a bug report needs: versions, threads, folders, GPUs."""

from .__config__ import show

if __name__ == "__main__":
    print(show())
