"""The benchmarks' networks in JAX compute the losses of their twins here, step by step."""

import numpy as np
import pytest

from benchmarks import models

pytestmark = pytest.mark.peers

CASES = [
    ("perceptron", ([2, 16, 16, 2], 8)),
    ("convolutional", (8, 4)),
    ("lstm", (4,)),
    ("transformer", (2,)),
]


@pytest.mark.parametrize(("maker", "arguments"), CASES, ids=[name for name, _ in CASES])
def test_losses_are_the_same(maker, arguments):
    pytest.importorskip("jax")
    import tinygrad_opt
    from benchmarks import jax_models

    tinygrad_opt.manual_seed(0)
    model, x, y = getattr(models, maker)(tinygrad_opt, *arguments)
    ours = models.training_step(tinygrad_opt, model, x, y)
    theirs = jax_models.training_step(maker, arguments)
    for _ in range(5):
        np.testing.assert_allclose(float(theirs()), ours().item(), rtol=1e-4)
