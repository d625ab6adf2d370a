"""Sweeps over processes: joblib's Dask backend, Optuna; skipped where those are not installed."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


def example(name, *arguments, cwd):
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_sweep_over_dasks_workers(tmp_path):
    pytest.importorskip("distributed", reason="needs dask: pip install '.[sweeps]'")
    options = ("--quick", "--out", tmp_path / "sweep.png", "--workers", 2, "--backend", "dask")
    said = example("sweep", *options, cwd=tmp_path)
    assert re.search(r"20 networks: [\d.]+ a second by 1 process, [\d.]+ by 2 with dask", said)


def test_estimators_are_searched_over_dasks_workers():
    distributed = pytest.importorskip("distributed", reason="needs dask: pip install '.[sweeps]'")
    joblib = pytest.importorskip("joblib")
    from sklearn.model_selection import GridSearchCV

    from tinygrad_opt.sklearn import Classifier

    x = np.random.default_rng(0).normal(size=(120, 2))
    y = (x**2).sum(1) < 1.4
    search = GridSearchCV(Classifier(random_state=0, epochs=20), {"lr": [1e-5, 0.03]}, cv=2)
    expected = search.fit(x, y).cv_results_["mean_test_score"]
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as here,
        distributed.Client(here),
        joblib.parallel_config(backend="dask"),
    ):
        found = search.fit(x, y).cv_results_["mean_test_score"]
    assert (found == expected).all()
    assert search.best_params_ == {"lr": 0.03}


def test_a_search_by_optuna(tmp_path):
    pytest.importorskip("optuna", reason="needs optuna: pip install '.[sweeps]'")
    said = example("search", "--trials", 12, cwd=tmp_path)
    assert "12 trials" in said
    assert float(re.search(r"accuracy ([\d.]+)%", said)[1]) > 70
