"""What an exercise must do: `check(answer)` of each, named as the exercise; it raises Wrong."""
